"""Config files and command lines: finding, reading and merging them."""

import importlib.util
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastreid.config import CfgNode as ToolkitCfgNode
from fastreid.config import get_cfg
from yacs.config import CfgNode

from vireid import host
from vireid.config import add_vireid_config
from vireid.config.plugins import add_methods, load_plugins
from vireid.config.rules import check_values, in_short, leaves
from vireid.config.toolkit_recipes import ARCHITECTURE, adder_of, choose_defaults
from vireid.config.yaml_files import read_yaml
from vireid.errors import ConfigError, did_you_mean
from vireid.files import fault_of_file

BASE_KEY = "_BASE_"
MOST_BASES = 20
# Keys of earlier versions, and what to use instead.
REPLACED = {"TEST.MSER.ENABLED": 'TEST.RERANKER "MSER", or "" for none'}
# What yacs says of a value of the wrong type.
_TYPE_MISMATCH = re.compile(
    r"\(<class '(\w+)'> vs\. <class '(\w+)'>\) with values \((.*) vs\. (.*)\) for config key: (\S+)"
)


def full_config(config_file: str, opts: Sequence[str] = ()) -> CfgNode:
    """The defaults of the toolkit, of this plugin and of every installed method; on top of them a config
    file; on top of it ``KEY VALUE`` pairs.

    Args:
        config_file: a path or a name, see ``find_config``; "" for none.
        opts: keys and values in turn.

    Raises:
        ConfigError: see ``merge_config``; or an installed method cannot be imported.
    """
    cfg = get_cfg()
    add_vireid_config(cfg)
    add_methods(cfg)
    merge_config(cfg, config_file, [*opts])
    return cfg


def merge_config(cfg: CfgNode, config_file: str, opts: list[str]) -> None:
    """Merge a config file and ``KEY VALUE`` pairs into ``cfg``, in place.

    The PLUGINS of either are imported first, so that the keys which they add are known.

    Args:
        config_file: a path or a name, see ``find_config``; "" for none.
        opts: keys and values in turn.

    Raises:
        ConfigError: no such file, not YAML, an unknown key, a value that its key may not hold, or a plugin
            that cannot be imported.
    """
    if config_file:
        merge_file(cfg, config_file)
    late = next((opt for opt in opts if opt.startswith("--")), None)
    if late:
        raise ConfigError(f"{late} stands after the first KEY VALUE setting; put it before them")
    if len(opts) % 2:
        raise ConfigError(f"the command line ends in {opts[-1]!r}: options are pairs KEY VALUE")
    pairs = list(zip(opts[::2], opts[1::2]))
    # First what may add keys, then what decides about defaults.
    pairs.sort(key=lambda pair: pair[0] != "PLUGINS" and 1 + (pair[0] != ARCHITECTURE))
    for key, value in pairs:
        keys = [key for key, _ in leaves(cfg)]
        if key not in keys:
            raise ConfigError(f"unknown config key {key} (value {in_short(value)}); {_advice(key, keys)}")
        if isinstance(_leaf(cfg, key), float) and re.fullmatch(r"[+-]?\d+", value):
            value += ".0"
        if key == ARCHITECTURE:
            choose_defaults(cfg, value, cfg.DATALOADER.SAMPLER_TRAIN)
        loaded = tuple(cfg.PLUGINS)
        _merge(cfg, [key, value], "the command line")
        if key == "PLUGINS":  # those of the file stay
            load_plugins(cfg, cfg.PLUGINS, loaded)
            cfg.PLUGINS = tuple(dict.fromkeys([*loaded, *cfg.PLUGINS]))
    for key, value in leaves(cfg):
        if value is None:
            raise ConfigError(f"{key} is None; every key needs a value")
    if host.is_vireid(cfg):
        check_values(cfg)


def merge_file(cfg: CfgNode, name: str) -> None:
    """Merge a config file into ``cfg``, in place. A recipe of the toolkit's gets the toolkit's defaults back.

    Args:
        name: a path or a name, see ``find_config``.

    Raises:
        ConfigError: as ``merge_config``; of an unknown key, whose function adds it.
    """
    path = find_config(name)
    if path is None:
        fault = fault_of_file(name)
        if fault and fault != "does not exist":
            raise ConfigError(f"the config file {name} {fault}")
        raise ConfigError(f"there is no file {name}, and no config of that name (such as pmcm/sysu)")
    tree = load_tree(path)
    if "PLUGINS" in cfg:
        load_plugins(cfg, tree.get("PLUGINS", ()), cfg.PLUGINS)
    _check_keys(cfg, tree, str(path))
    stated = dict(leaves(tree))
    if ARCHITECTURE in stated:
        sampler = stated.get("DATALOADER.SAMPLER_TRAIN", cfg.DATALOADER.SAMPLER_TRAIN)
        choose_defaults(cfg, stated[ARCHITECTURE], sampler)
    _merge(cfg, ToolkitCfgNode(tree), str(path))


def find_config(name: str, folder: Path = Path()) -> Path | None:
    """The file that a path or a name means; None where there is none.

    Args:
        name: a path, relative to ``folder``; or <package>/<name>, such as "pmcm/sysu": <name>.yml in
            the folder ``configs`` of that package, in a checkout or installed.
        folder: what paths are relative to.
    """
    path = folder / os.path.expanduser(name)
    if path.is_file():
        return path
    package, _, rest = name.partition("/")
    if not rest or not package.isidentifier():
        return None
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # a module without a specification, such as __main__
        return None
    if spec is None or spec.origin is None:
        return None
    home = Path(spec.origin).parent
    found = (place / "configs" / f"{rest}.yml" for place in (home, home.parent))
    return next((path for path in found if path.is_file()), None)


def packed_weights(config_file: str) -> Path | None:
    """The weights that come with a config: a file beside it, of its name; None where there is none.

    Args:
        config_file: as of ``find_config``.
    """
    config = find_config(config_file)
    weights = None if config is None else config.with_suffix(".safetensors")
    return weights if weights is not None and weights.is_file() else None


def load_tree(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The keys of a YAML file on top of those of its ``_BASE_``: one file, or a list in which later ones win.

    Args:
        above: the files whose bases led here.

    Raises:
        ConfigError: not YAML, not a mapping, a base that does not exist or that leads back to itself.
    """
    path = path.resolve()
    if path in above:
        raise ConfigError(f"{path}: its _BASE_ leads back to itself")
    if len(above) > MOST_BASES:
        raise ConfigError(f"{above[0]}: its bases have bases of their own, more than {MOST_BASES} in a row")
    tree = read_yaml(path)
    bases = tree.pop(BASE_KEY, [])
    bases = bases if isinstance(bases, list) else [bases]
    merged: dict[str, Any] = {}
    for base in bases:
        found = find_config(base, path.parent) if isinstance(base, str) else None
        if found is None:
            raise ConfigError(f"{path}: its {BASE_KEY} {base} does not exist")
        _lay_over(merged, load_tree(found, (*above, path)))
    _lay_over(merged, tree)
    return merged


def _lay_over(tree: dict[str, Any], change: dict[str, Any]) -> None:
    """Put the keys of ``change`` on top of those of ``tree``, in place."""
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            _lay_over(tree[key], value)
        else:
            tree[key] = value


def _merge(cfg: CfgNode, change: Any, source: str) -> None:
    try:
        if isinstance(change, list):
            cfg.merge_from_list(change)
        else:
            cfg.merge_from_other_cfg(change)
    except (RecursionError, MemoryError):
        raise ConfigError(f"{source}: {change[0]} has a value that is nested too deeply") from None
    except (ValueError, SyntaxError, TypeError, OverflowError) as error:
        message = " ".join(str(error).split())
        if mismatch := _TYPE_MISMATCH.search(message):
            expected, found, _, value, key = mismatch.groups()
            example = """, such as '["a", "b"]'""" if expected in ("tuple", "list") else ""
            message = f"{key} is {in_short(value)} ({found}); expected {expected}{example}"
        message = message if len(message) < 400 else f"{message[:400]} ..."
        raise ConfigError(f"{source}: {message}") from None


def _check_keys(cfg: CfgNode, tree: dict[str, Any], source: str, prefix: str = "") -> None:
    for key, value in tree.items():
        node = _node_at(cfg, prefix)
        if key not in node and not node.is_new_allowed():
            advice = _advice(f"{prefix}{key}", [key for key, _ in leaves(cfg)])
            raise ConfigError(
                f"{source}: unknown config key {prefix}{key} (value {in_short(value)}); {advice}"
            )
        if isinstance(node.get(key), CfgNode):
            if not isinstance(value, dict):
                raise ConfigError(f"{source}: {prefix}{key} is a group of keys; got {in_short(value)}")
            _check_keys(cfg, value, source, f"{prefix}{key}.")
        elif isinstance(node.get(key), float) and type(value) is int and abs(value) < 2**53:
            tree[key] = float(value)


def _advice(key: str, known: list[str]) -> str:
    if key in REPLACED:
        return f"use {REPLACED[key]}"
    return adder_of(key) or did_you_mean(key, known) or "no key is like it"


def _node_at(cfg: CfgNode, prefix: str) -> CfgNode:
    for part in prefix.split(".")[:-1]:
        cfg = cfg[part]
    return cfg


def _leaf(cfg: CfgNode, key: str) -> Any:
    return _node_at(cfg, key)[key.rpartition(".")[2]]
