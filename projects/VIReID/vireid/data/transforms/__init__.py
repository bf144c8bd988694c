"""Augmentations of a training image, after the resize.

A transform is a class in TRANSFORM_REGISTRY with ``from_config(cfg)`` and
``__call__(image: uint8 (3, H, W)) -> uint8 (3, H, W)``. One that never writes to its input says so by
``keeps_input = True``, and is given the kept image itself instead of a copy.
INPUT.VISIBLE_TRANSFORMS and INPUT.INFRARED_TRANSFORMS name those of each modality, in order. A transform
draws from Python's, NumPy's or torch's global generator: the training set seeds all three for each sample.
"""

from collections.abc import Callable
from typing import Any

import torch

from vireid.data.transforms import color, geometry  # noqa: F401  (registration)
from vireid.errors import ConfigError
from vireid.registries import TRANSFORM_REGISTRY, find

Transform = Callable[[torch.Tensor], torch.Tensor]

KEYS = ("VISIBLE_TRANSFORMS", "INFRARED_TRANSFORMS")


def build_transforms(cfg: Any, key: str) -> list[Transform]:
    """The transforms that INPUT.<key> names, in its order.

    Raises:
        ConfigError: an unknown name, or a setting out of its range.
    """
    return [find(TRANSFORM_REGISTRY, name, f"INPUT.{key}").from_config(cfg) for name in cfg.INPUT[key]]


def check_transforms(cfg: Any) -> None:
    """Refuse unknown transforms, wrong settings, and the toolkit's switches for what is in no list.

    Raises:
        ConfigError: says which key to use.
    """
    for key in KEYS:
        build_transforms(cfg, key)
    used = {name for key in KEYS for name in cfg.INPUT[key]}
    by_key = {getattr(cls, "toolkit_key", ""): name for name, cls in TRANSFORM_REGISTRY.items()}
    for key, node in cfg.INPUT.items():
        if not (isinstance(node, dict) and node.get("ENABLED")):
            continue
        name = by_key.get(key)
        if name is None:
            raise ConfigError(
                f"INPUT.{key}.ENABLED is True, and has no effect here: there is no transform for it; set it "
                "False, or register one in TRANSFORM_REGISTRY and name it in INPUT.VISIBLE_TRANSFORMS"
            )
        if name not in used:
            raise ConfigError(
                f"INPUT.{key}.ENABLED is True, and has no effect here: name {name!r} in "
                "INPUT.VISIBLE_TRANSFORMS, INPUT.INFRARED_TRANSFORMS, or both"
            )
