"""The config keys of PMCM."""

from yacs.config import CfgNode


def add_pmcm_config(cfg: CfgNode) -> None:
    """Add PMCM's keys to a config that ``add_vireid_config`` has extended, in place; twice does no harm."""
    if "PATCH_MIX" in cfg.MODEL:
        return
    node = type(cfg)

    cfg.MODEL.PATCH_MIX = node()
    # Share of patches taken from the visible image: 0 is the infrared image, 1 the visible one.
    cfg.MODEL.PATCH_MIX.RATIO = 0.5
    # Side of a patch in pixels; height and width of INPUT.SIZE_TRAIN must be multiples of it.
    cfg.MODEL.PATCH_MIX.PATCH_SIZE = 16

    cfg.MODEL.HEADS.PARTS = node()
    # Number of horizontal stripes of the last feature map; each has a neck and a classifier.
    cfg.MODEL.HEADS.PARTS.COUNT = 6
    # Whether the embedding of an image is the global feature alone, or followed by the stripes'.
    cfg.MODEL.HEADS.PARTS.IN_EMBEDDING = False

    # The three lambdas of the paper: center-to-center, part alignment, patch-mixed modality learning.
    cfg.MODEL.LOSSES.C2C = node({"SCALE": 1.0})
    cfg.MODEL.LOSSES.PART = node({"SCALE": 1.0})
    cfg.MODEL.LOSSES.PMML = node({"SCALE": 1.0})
    # Which side's prediction is a fixed target: "none", "originals" or "mixed".
    cfg.MODEL.LOSSES.PMML.DETACH = "none"
    # "pair" compares each mixed image with its two sources; "modality" compares, for each identity, the mean
    # predictions of its images of each modality.
    cfg.MODEL.LOSSES.PMML.LEVEL = "pair"
