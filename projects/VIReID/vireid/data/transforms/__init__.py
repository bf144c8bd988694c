"""Augmentations of a training image, after the resize.

A transform is a class in TRANSFORM_REGISTRY with ``from_config(cfg)`` and
``__call__(image: uint8 (3, H, W)) -> uint8 (3, H, W)``. One that never writes to its input says so by
``keeps_input = True``, and is given the kept image itself instead of a copy.
INPUT.VISIBLE_TRANSFORMS and INPUT.INFRARED_TRANSFORMS name those of each modality, in order;
INPUT.VISIBLE_FURTHER_VIEWS and INPUT.INFRARED_FURTHER_VIEWS those of an image's further views in its batch. A
transform draws from Python's, NumPy's or torch's global generator: the training set seeds all three for each
sample, before its first view.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from vireid.data.transforms import color, geometry  # noqa: F401  (registration)
from vireid.errors import ConfigError
from vireid.modality import Modality
from vireid.registries import TRANSFORM_REGISTRY, find

Transform = Callable[[torch.Tensor], torch.Tensor]

MODALITIES = (Modality.VISIBLE, Modality.INFRARED)


def build_transforms(cfg: Any, key: str) -> list[Transform]:
    """The transforms that INPUT.<key> names, in its order.

    Raises:
        ConfigError: an unknown name, or a setting out of its range.
    """
    return _built(cfg, key, cfg.INPUT[key])


def build_views(cfg: Any, modality: Modality) -> list[list[Transform]]:
    """The transforms of each view of a modality's images.

    Raises:
        ConfigError: see ``build_transforms``.
    """
    key = f"{modality.name}_FURTHER_VIEWS"
    first = build_transforms(cfg, f"{modality.name}_TRANSFORMS")
    return [first, *(_built(cfg, key, names) for names in cfg.INPUT[key])]


def _built(cfg: Any, key: str, names: Sequence[str]) -> list[Transform]:
    return [find(TRANSFORM_REGISTRY, name, f"INPUT.{key}").from_config(cfg) for name in names]


def augmented(image: torch.Tensor, transforms: Iterable[Transform]) -> torch.Tensor:
    """An image after some transforms; it is left as it was.

    Raises:
        TypeError: one gives no image of the same size.
    """
    out = image
    for transform in transforms:
        if out is image and not getattr(transform, "keeps_input", False):
            out = image.clone()  # a transform that writes to its input would change what is kept
        out = transform(out)
        if out.shape != image.shape or out.dtype != torch.uint8:
            raise TypeError(
                f"the transform {type(transform).__name__} gave {out.dtype} {tuple(out.shape)}; "
                f"expected torch.uint8 {tuple(image.shape)}, as it was given"
            )
    return out


def check_transforms(cfg: Any) -> None:
    """Refuse unknown transforms, wrong settings, and the toolkit's switches for what is in no list.

    Raises:
        ConfigError: says which key to use.
    """
    views = [view for modality in MODALITIES for view in build_views(cfg, modality)]
    used = {type(transform).__name__ for view in views for transform in view}
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
