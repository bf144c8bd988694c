"""From a config file and command line to a checked config, a log, a device and seeds."""

import logging
import math
import os
import random
import re
import sys
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import yaml
from fastreid.config import CfgNode as ToolkitCfgNode
from fastreid.engine import default_setup
from fastreid.utils import comm
from fastreid.utils.logger import setup_logger
from yacs.config import CfgNode

from vireid import host
from vireid.errors import ConfigError, nearest
from vireid.evaluation.metrics import METRICS
from vireid.plugins import load_plugins

logger = logging.getLogger("fastreid.vireid.setup")


# What yacs says of a value of the wrong type.
_TYPE_MISMATCH = re.compile(
    r"\(<class '(\w+)'> vs\. <class '(\w+)'>\) with values \((.*) vs\. (.*)\) for config key: (\S+)"
)
AMP_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def merge_config(cfg: CfgNode, config_file: str, opts: list[str]) -> None:
    """Merge a YAML file and ``KEY VALUE`` pairs into ``cfg``, in place; PLUGINS of either are imported
    first, so that keys which they add are known.

    Raises:
        ConfigError: no such file, not YAML, an unknown key, a value of the wrong type, or a plugin that
            cannot be imported.
    """
    if config_file:
        if not os.path.isfile(config_file):
            raise ConfigError(f"--config-file: no file {config_file}")
        try:
            tree = ToolkitCfgNode.load_yaml_with_base(config_file)
        except RecursionError:
            raise ConfigError(f"{config_file}: its _BASE_ leads back to itself") from None
        except (TypeError, AttributeError):
            raise ConfigError(f"{config_file} holds no keys, or a _BASE_ that is no path") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{config_file} is not YAML: {' '.join(str(error).split())}") from None
        except FileNotFoundError as error:
            raise ConfigError(f"{config_file}: its _BASE_ {error.filename} does not exist") from None
        if not isinstance(tree, dict):
            raise ConfigError(f"{config_file} holds no keys")
        load_plugins(cfg, tree.get("PLUGINS", ()), cfg.PLUGINS)
        _check_keys(cfg, tree, config_file)
        _merge(cfg, ToolkitCfgNode(tree), config_file)
    late = next((opt for opt in opts if opt.startswith("--")), None)
    if late:
        raise ConfigError(f"{late} stands after the first KEY VALUE setting; put it before them")
    if len(opts) % 2:
        raise ConfigError(f"the command line ends in {opts[-1]!r}: options are pairs KEY VALUE")
    pairs = list(zip(opts[::2], opts[1::2]))
    pairs.sort(key=lambda pair: pair[0] != "PLUGINS")  # first, as they may add keys
    for key, value in pairs:
        keys = list(_leaf_keys(cfg))
        if key not in keys:
            near = nearest(key, keys) or "no key is like it"
            raise ConfigError(f"unknown config key {key} (value {value!r}); {near}")
        if isinstance(_leaf(cfg, key), float) and re.fullmatch(r"[+-]?\d+", value):
            value += ".0"
        loaded = tuple(cfg.PLUGINS)
        _merge(cfg, [key, value], "the command line")
        if key == "PLUGINS":  # those of the file stay
            load_plugins(cfg, cfg.PLUGINS, loaded)
            cfg.PLUGINS = tuple(dict.fromkeys([*loaded, *cfg.PLUGINS]))
    for key in _leaf_keys(cfg):
        if _leaf(cfg, key) is None:
            raise ConfigError(f"{key} is None; every key needs a value")


def _merge(cfg: CfgNode, change: Any, source: str) -> None:
    try:
        if isinstance(change, list):
            cfg.merge_from_list(change)
        else:
            cfg.merge_from_other_cfg(change)
    except (ValueError, SyntaxError) as error:
        message = " ".join(str(error).split())
        if mismatch := _TYPE_MISMATCH.search(message):
            expected, found, _, value, key = mismatch.groups()
            example = """, such as '["a", "b"]'""" if expected in ("tuple", "list") else ""
            message = f"{key} is {value!r} ({found}); expected {expected}{example}"
        raise ConfigError(f"{source}: {message}") from None


def _check_keys(cfg: CfgNode, tree: dict[str, Any], source: str, prefix: str = "") -> None:
    for key, value in tree.items():
        node = _node_at(cfg, prefix)
        if key not in node:
            near = nearest(f"{prefix}{key}", [*_leaf_keys(cfg)]) or "no key is like it"
            raise ConfigError(f"{source}: unknown config key {prefix}{key} (value {value!r}); {near}")
        if isinstance(node[key], CfgNode):
            if not isinstance(value, dict):
                raise ConfigError(f"{source}: {prefix}{key} is a group of keys; got {value!r}")
            _check_keys(cfg, value, source, f"{prefix}{key}.")
        elif isinstance(node[key], float) and type(value) is int:
            tree[key] = float(value)


def _node_at(cfg: CfgNode, prefix: str) -> CfgNode:
    for part in prefix.split(".")[:-1]:
        cfg = cfg[part]
    return cfg


def _leaf(cfg: CfgNode, key: str) -> Any:
    return _node_at(cfg, key)[key.rpartition(".")[2]]


def _leaf_keys(cfg: CfgNode, prefix: str = "") -> Iterator[str]:
    for key, value in cfg.items():
        if isinstance(value, CfgNode):
            yield from _leaf_keys(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def check_config(cfg: CfgNode) -> None:
    """Refuse a config that would fail later, before anything is read or built.

    Raises:
        ConfigError: names the key, its value and what is expected.
    """
    from vireid.data.transforms import check_transforms
    from vireid.modeling.families import check_model

    host.check_config(cfg)
    check_model(cfg)
    check_transforms(cfg)
    amp = cfg.SOLVER.AMP
    if amp.DTYPE not in AMP_DTYPES:
        raise ConfigError(f"SOLVER.AMP.DTYPE is {amp.DTYPE!r}; expected bf16 or fp16")
    if amp.ENABLED and amp.DTYPE == "fp16" and not cfg.MODEL.DEVICE.startswith("cuda"):
        raise ConfigError("SOLVER.AMP.DTYPE fp16 needs a GPU; on the CPU set it to bf16")
    if cfg.TEST.BEST_METRIC.split("/")[-1] not in METRICS:
        raise ConfigError(f"TEST.BEST_METRIC is {cfg.TEST.BEST_METRIC!r}; it must end in one of {METRICS}")
    if cfg.TEST.METRIC not in ("cosine", "euclidean"):
        raise ConfigError(f"TEST.METRIC is {cfg.TEST.METRIC!r}; expected cosine or euclidean")
    if not 0 <= cfg.SOLVER.BASE_LR < math.inf:
        raise ConfigError(f"SOLVER.BASE_LR is {cfg.SOLVER.BASE_LR}; expected 0 or more")
    if cfg.DATALOADER.NUM_WORKERS < 0:
        raise ConfigError(f"DATALOADER.NUM_WORKERS is {cfg.DATALOADER.NUM_WORKERS}; expected 0 or more")
    if min([*cfg.INPUT.SIZE_TRAIN, *cfg.INPUT.SIZE_TEST]) < 1:
        raise ConfigError("INPUT.SIZE_TRAIN and SIZE_TEST are [height, width] in pixels, such as [288, 144]")
    if cfg.SOLVER.MAX_EPOCH < 1:
        raise ConfigError(f"SOLVER.MAX_EPOCH is {cfg.SOLVER.MAX_EPOCH}; expected at least 1")


def setup(cfg: CfgNode, args: Namespace) -> CfgNode:
    """Check the config, make the output folder and the log, choose the device, seed everything.

    Args:
        cfg: merged, not frozen.
        args: of the toolkit's ``default_argument_parser``.

    Returns:
        The config, frozen, with SEED and MODEL.DEVICE as they are used.

    Raises:
        ConfigError: see ``check_config``.
    """
    fallback = cfg.MODEL.DEVICE.startswith("cuda") and not torch.cuda.is_available()
    if fallback:
        cfg.MODEL.DEVICE = "cpu"
    if cfg.SEED < 0:
        cfg.SEED = comm.shared_random_seed() % 2**31
    check_config(cfg)
    if comm.is_main_process():
        try:
            os.makedirs(cfg.OUTPUT_DIR, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"OUTPUT_DIR {cfg.OUTPUT_DIR!r} cannot be made: {error.strerror}") from None
    cfg.freeze()
    _log_details(cfg, args)
    logger.info(f"FastReID {host.toolkit_version()}, PyTorch {torch.__version__}, seed {cfg.SEED}")
    if fallback:
        logger.warning("MODEL.DEVICE asks for a GPU, and there is none")
    if cfg.MODEL.DEVICE == "cpu":
        found = "MODEL.DEVICE is cpu" if torch.cuda.is_available() else "No GPU found"
        logger.info(f"{found}: running on the CPU, threads: {torch.get_num_threads()}")
    seed_everything(cfg.SEED + comm.get_rank())
    return cfg


def _log_details(cfg: CfgNode, args: Namespace) -> None:
    """The toolkit's setup; environment and config go to log.txt, not to the screen."""
    toolkit_logger = setup_logger(cfg.OUTPUT_DIR, distributed_rank=comm.get_rank())
    screens = [
        handler for handler in toolkit_logger.handlers if getattr(handler, "stream", None) is sys.stdout
    ]
    for screen in screens:
        screen.setLevel(logging.WARNING)
    default_setup(cfg, args)
    for screen in screens:
        screen.setLevel(logging.INFO)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (third-party code draws from it)
    torch.manual_seed(seed)
