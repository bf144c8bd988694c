"""Small configs for tests: a tiny network and tiny images."""

from pathlib import Path
from typing import Any

from fastreid.config import CfgNode

from vireid.engine import full_config, merge_config

PROJECTS = Path(__file__).parents[1] / "projects"

TINY = {
    "MODEL.DEVICE": "cpu",
    "MODEL.BACKBONE.NAME": "build_small_resnet_backbone",
    "MODEL.BACKBONE.DEPTH": "10x",
    "MODEL.BACKBONE.WIDTH": 8,
    "MODEL.BACKBONE.WITH_NL": False,
    "MODEL.BACKBONE.PRETRAIN": False,
    "MODEL.HEADS.NUM_CLASSES": 5,
    "INPUT.SIZE_TRAIN": [64, 32],
    "INPUT.SIZE_TEST": [64, 32],
    "DATALOADER.NUM_WORKERS": 0,
    "DATALOADER.NUM_INSTANCE": 2,
    "SOLVER.IMS_PER_BATCH": 8,
    "LOGGERS": ["tensorboard"],
    "SOLVER.AMP.ENABLED": False,
}


def all_keys() -> CfgNode:
    """The defaults of the toolkit and of every project."""
    return full_config("")


def tiny_config(file: str = "VIReID/configs/sysu.yml", **overrides: Any) -> CfgNode:
    """A project's config at a tiny size; in an override's name ``__`` stands for a dot."""
    cfg = all_keys()
    merge_config(cfg, str(PROJECTS / file), [])
    settings = {**TINY, **{key.replace("__", "."): value for key, value in overrides.items()}}
    cfg.merge_from_list([item for pair in settings.items() for item in pair])
    return cfg
