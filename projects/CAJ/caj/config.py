"""The config keys of CAJ."""

from functools import partial

from yacs.config import CfgNode

from vireid.config import add_vireid_config
from vireid.config.rules import add_key, number


def add_caj_config(cfg: CfgNode) -> None:
    """Add CAJ's keys and those of ``add_vireid_config`` to a config, in place; twice does no harm."""
    if "ESD" in cfg.MODEL.LOSSES:
        return
    add_vireid_config(cfg)
    add = partial(add_key, cfg)

    # Weight of the enhanced squared difference, which takes the place of the triplet loss.
    add("MODEL.LOSSES.ESD.SCALE", 1.0, number(0, 1e6))
    # By what distances are multiplied where an image's positives and negatives are weighted.
    add("MODEL.LOSSES.ESD.ALPHA", 1.0, number(0, 1e6, above=True))
    # By what the difference, or its square, is multiplied.
    add("MODEL.LOSSES.ESD.GAMMA", 1.0, number(0, 1e6, above=True))
    # Whether the difference is squared.
    add("MODEL.LOSSES.ESD.SQUARE", True)

    # Weight of the divergence between predictions of visible and infrared images; 0 as published.
    add("MODEL.LOSSES.KL.SCALE", 0.0, number(0, 1e6))

    # Probability that ChannelAdaptGray makes an image gray which it gave none of its channels.
    add("INPUT.CHANNEL_ADAPT_GRAY.PROB", 0.5, number(0, 1))
