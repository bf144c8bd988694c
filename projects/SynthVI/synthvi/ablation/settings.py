"""The settings of a config as plain values, also beside those of an earlier version of the code."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from yacs.config import CfgNode

from vireid.config.rules import leaves
from vireid.engine import full_config

Settings = Mapping[str, Any]  # key with dots -> value


def plain_settings(cfg: CfgNode) -> dict[str, Any]:
    """List all settings but OUTPUT_DIR, as JSON gives them back."""
    settings: dict[str, Any] = json.loads(json.dumps(dict(leaves(cfg))))
    del settings["OUTPUT_DIR"]
    return settings


@cache
def default_settings() -> dict[str, Any]:
    """List the defaults of this version of the code."""
    return plain_settings(full_config(""))


def changed_settings(cfg: CfgNode) -> dict[str, Any]:
    """List the settings that differ from the defaults."""
    default = default_settings()
    return {key: value for key, value in plain_settings(cfg).items() if value != default.get(key)}


def same_settings(changed: Settings, defaults: Settings, settings: Settings) -> bool:
    """Compare a config of an earlier version of the code with one of this version.

    A key that only one of the versions has counts as being at its default.

    Args:
        changed: settings of the earlier config that were no defaults.
        defaults: those of the earlier version.
        settings: all settings of the other config.
    """
    return {**default_settings(), **defaults, **changed} == {**defaults, **settings}
