"""From a merged config to a checked one, a log, a device and seeds."""

import io
import logging
import os
import sys
from argparse import Namespace

import torch
from fastreid.engine import default_setup
from fastreid.utils import comm
from fastreid.utils.logger import setup_logger
from yacs.config import CfgNode

from vireid import host
from vireid.config.toolkit_recipes import refuse_our_keys
from vireid.engine.agreement import compare_start
from vireid.engine.checkpoints.resume import recorded_seed
from vireid.engine.checkpoints.run_lock import lock_run
from vireid.engine.checks import check_config
from vireid.engine.seeds import seed_everything
from vireid.errors import ConfigError

logger = logging.getLogger("fastreid.vireid.setup")


def setup(cfg: CfgNode, args: Namespace) -> CfgNode:
    """Check the config, make the output folder and the log, choose the device, seed everything.

    Args:
        cfg: merged, not frozen.
        args: of the toolkit's ``default_argument_parser``.

    Returns:
        The config, frozen, with SEED and MODEL.DEVICE as they are used.

    Raises:
        ConfigError: see ``check_config``; or another run is in OUTPUT_DIR.
    """
    asked = cfg.MODEL.DEVICE
    completed(cfg, resumes=getattr(args, "resume", False) or getattr(args, "force_resume", False))
    if comm.is_main_process():
        try:
            os.makedirs(cfg.OUTPUT_DIR, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"OUTPUT_DIR {cfg.OUTPUT_DIR!r} cannot be made: {error.strerror}") from None
    lock_run(cfg.OUTPUT_DIR)
    cfg.freeze()
    _log_details(cfg, args)
    logger.info(f"FastReID {host.toolkit_version()}, PyTorch {torch.__version__}, seed {cfg.SEED}")
    if asked != cfg.MODEL.DEVICE:
        logger.warning("MODEL.DEVICE asks for a GPU, and there is none")
    if cfg.MODEL.DEVICE == "cpu":
        found = "MODEL.DEVICE is cpu" if torch.cuda.is_available() else "No GPU found"
        logger.info(f"{found}: running on the CPU, threads: {torch.get_num_threads()}")
    seed_everything(cfg.SEED + comm.get_rank())
    return cfg


def completed(cfg: CfgNode, *, resumes: bool = False) -> None:
    """Check a config, and put the device and the seed that are used into it.

    Args:
        resumes: whether SEED -1 is the seed of the run in OUTPUT_DIR, if there is one.

    Raises:
        ConfigError: see ``check_config``; or a recipe of the toolkit's sets keys that it does not read.
    """
    if cfg.MODEL.DEVICE.startswith("cuda") and not torch.cuda.is_available():
        cfg.MODEL.DEVICE = "cpu"
    seed = recorded_seed(cfg.OUTPUT_DIR) if resumes and cfg.SEED < 0 else None
    compare_start(cfg, seed)
    if cfg.SEED < 0:
        cfg.SEED = comm.shared_random_seed() % 2**31 if seed is None else seed
    if host.is_vireid(cfg):
        check_config(cfg)
    else:
        refuse_our_keys(cfg)
    if cfg.MODEL.DEVICE.startswith("cuda:"):  # it becomes the one whose generator and memory PyTorch means
        torch.cuda.set_device(cfg.MODEL.DEVICE)


def _log_details(cfg: CfgNode, args: Namespace) -> None:
    """The toolkit's setup; environment and config go to log.txt, not to the screen."""
    logging.raiseExceptions = False  # a full disk has one line of its own, not one for each of the log
    toolkit_logger = setup_logger(cfg.OUTPUT_DIR, distributed_rank=comm.get_rank())
    screens = [
        handler for handler in toolkit_logger.handlers if getattr(handler, "stream", None) is sys.stdout
    ]
    for handler in toolkit_logger.handlers:
        # A locale without UTF-8 would lose every line with a ±, and with it the results.
        stream = getattr(handler, "stream", None)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for screen in screens:
        screen.setLevel(logging.WARNING)
    default_setup(cfg, args)
    for screen in screens:
        screen.setLevel(logging.INFO)
