"""The config keys of PMCM."""

from functools import partial

from yacs.config import CfgNode

from vireid.config import add_vireid_config
from vireid.config.rules import add_key, choice, integer, number


def add_pmcm_config(cfg: CfgNode) -> None:
    """Add PMCM's keys and those of ``add_vireid_config`` to a config, in place; twice does no harm."""
    if "PATCH_MIX" in cfg.MODEL:
        return
    add_vireid_config(cfg)
    add = partial(add_key, cfg)

    # Share of patches taken from the visible image: 0 is the infrared image, 1 the visible one.
    add("MODEL.PATCH_MIX.RATIO", 0.5, number(0, 1))
    # Side of a patch in pixels; height and width of INPUT.SIZE_TRAIN must be multiples of it.
    add("MODEL.PATCH_MIX.PATCH_SIZE", 16, integer(1, 4096))

    # Number of horizontal stripes of the last feature map; each has a neck and a classifier.
    add("MODEL.HEADS.PARTS.COUNT", 6, integer(1, 256))
    # Whether the embedding of an image is the global feature alone, or followed by the stripes'.
    add("MODEL.HEADS.PARTS.IN_EMBEDDING", False)

    # The three lambdas of the paper: center-to-center, part alignment, patch-mixed modality learning.
    add("MODEL.LOSSES.C2C.SCALE", 1.0, number(0, 1e6))
    add("MODEL.LOSSES.PART.SCALE", 1.0, number(0, 1e6))
    add("MODEL.LOSSES.PMML.SCALE", 1.0, number(0, 1e6))
    # Which side's prediction is a fixed target.
    add("MODEL.LOSSES.PMML.DETACH", "none", choice("none", "originals", "mixed"))
    # "pair" compares each mixed image with its two sources; "modality" compares, for each identity, the mean
    # predictions of its images of each modality.
    add("MODEL.LOSSES.PMML.LEVEL", "pair", choice("pair", "modality"))
