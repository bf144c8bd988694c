"""The config keys of DEEN."""

from functools import partial

from yacs.config import CfgNode

from vireid.config import add_vireid_config
from vireid.config.rules import add_key, integer, listing, number


def add_deen_config(cfg: CfgNode) -> None:
    """Add DEEN's keys and those of ``add_vireid_config`` to a config, in place; twice does no harm."""
    if "DEE" in cfg.MODEL:
        return
    add_vireid_config(cfg)
    add = partial(add_key, cfg)

    # The adapter DEE: after which stage of the backbone an image's two branches are added to the batch.
    add("MODEL.DEE.STAGE", 3, integer(1, 3))
    # Share of the values that it drops in training.
    add("MODEL.DEE.DROPOUT", 0.01, number(0, 1, below=True))
    # The adapter MFA: after which stages the map attends over the map before the stage.
    add("MODEL.MFA.STAGES", [1, 2, 3], listing(integer(1, 3)))

    # Weight of CPM, for both branches together.
    add("MODEL.LOSSES.CPM.SCALE", 0.8, number(0, 1e6))
    # By how much a distance of CPM is to be smaller than the others.
    add("MODEL.LOSSES.CPM.MARGIN", 0.2, number(0, 1e6))
    # Weight of the orthogonality of both branches.
    add("MODEL.LOSSES.ORT.SCALE", 0.01, number(0, 1e6))
