"""The config keys of MCJA."""

from functools import partial

from yacs.config import CfgNode

from vireid.config import add_vireid_config
from vireid.config.rules import add_key, anything, bounds, integer, listing, number


def add_mcja_config(cfg: CfgNode) -> None:
    """Add MCJA's keys and those of ``add_vireid_config`` to a config, in place; twice does no harm."""
    if "MDA" in cfg.MODEL:
        return
    add_vireid_config(cfg)
    add = partial(add_key, cfg)

    # Number of attention maps of each adapter (the M of the paper: 2 on SYSU-MM01, 12 on RegDB).
    add("MODEL.MDA.MODALITIES", 2, integer(1, 1024))
    # Where adapters stand. "auto": after the last 2 blocks of stage 2 and the last 3 of stage 3 of any
    # backbone. ["layer2", 2]: after the last 2 blocks of that container, or as many as it has.
    # "layer2.3": after that module. Names as in backbone.named_modules().
    add("MODEL.MDA.STAGES", ["auto"], listing(anything("auto, a module, or [container, blocks]", "auto")))

    # Weight of the cross-modality retrieval loss: 1 as published; on generated persons, 4 is better.
    add("MODEL.LOSSES.CMR.SCALE", 1.0, number(0, 1e6))
    # The regularization of its soft rank.
    add("MODEL.LOSSES.CMR.STRENGTH", 0.5, number(0, 1e6, above=True))

    # Spectral augmentations; PROB is the probability of each. VIMC picks one of these four, which is
    # then applied with its own PROB.
    add("INPUT.HUE_JITTER.PROB", 0.5, number(0, 1))
    add("INPUT.WEIGHTED_GRAYSCALE.PROB", 0.5, number(0, 1))
    add("INPUT.CHANNEL_CUTMIX.PROB", 0.5, number(0, 1))
    add("INPUT.SPECTRUM_JITTER.PROB", 0.5, number(0, 1))
    # The hue is turned by up to this share of the circle, in either direction.
    add("INPUT.HUE_JITTER.HUE", 0.2, number(0, 0.5))
    # Bounds of the box's share of the image.
    add("INPUT.CHANNEL_CUTMIX.SCALE", (0.02, 0.33), bounds(0, 1, above=True))
    # Bounds of the box's height by its width.
    add("INPUT.CHANNEL_CUTMIX.RATIO", (0.3, 3.3), bounds(0, 100, above=True))
    # Draw the box as the published code does, with height and width of the image exchanged, so that on
    # upright images a part of it is lost.
    add("INPUT.CHANNEL_CUTMIX.PUBLISHED_BOX", False)
    # Bounds of the image's share in the blend with one of its channels.
    add("INPUT.SPECTRUM_JITTER.FACTOR", (0.0, 1.0), bounds(0, 1))

    # TEST.RERANKER "MSER": reciprocal sets are made of the K1 + 1 nearest items, the item itself among them.
    add("TEST.MSER.K1", 40, integer(1, 100_000))
    # Nearest items whose sets are averaged.
    add("TEST.MSER.K2", 20, integer(1, 100_000))
    # Share of the original distance in the result.
    add("TEST.MSER.LAMBDA", 0.3, number(0, 1))
    # Whether neighbours are sought among the queries only, or among queries and gallery.
    add("TEST.MSER.QUERY_NEIGHBOURS_ONLY", True)
