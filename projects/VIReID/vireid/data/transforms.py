"""Which augmentations each modality goes through: INPUT.VISIBLE_TRANSFORMS, INPUT.INFRARED_TRANSFORMS."""

from typing import Any

from vireid.data.augmentations import TRANSFORM_REGISTRY, Transform
from vireid.errors import ConfigError, closest

KEYS = ("VISIBLE_TRANSFORMS", "INFRARED_TRANSFORMS")


def build_transforms(cfg: Any, key: str) -> list[Transform]:
    """The transforms that INPUT.<key> names, in its order.

    Raises:
        ConfigError: an unknown name, or a setting out of its range.
    """
    known = TRANSFORM_REGISTRY._obj_map
    transforms = []
    for name in cfg.INPUT[key]:
        if name not in known:
            raise ConfigError(f"INPUT.{key} names {name!r}; {closest(name, known)}")
        transforms.append(known[name].from_config(cfg))
    return transforms


def check_transforms(cfg: Any) -> None:
    """Refuse unknown transforms, wrong settings, and the toolkit's switches for what is in no list.

    Raises:
        ConfigError: says which key to use.
    """
    for key in KEYS:
        build_transforms(cfg, key)
    used = {name for key in KEYS for name in cfg.INPUT[key]}
    by_key = {getattr(cls, "toolkit_key", ""): name for name, cls in TRANSFORM_REGISTRY._obj_map.items()}
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
