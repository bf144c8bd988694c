"""Evaluate a model on the test sets of a config.

MODEL.WEIGHTS names the checkpoint; without it, the untrained model is evaluated. The table goes to the
screen. results.json, in the folder eval of OUTPUT_DIR, has the figures of every trial.
"""

import argparse
import os

from vireid import host
from vireid.commands.arguments import add_config_arguments
from vireid.commands.launch import add_launch_arguments, joined, relaunch
from vireid.errors import ConfigError

EXAMPLES = """
examples:
  the best epoch of a training:
    vireid evaluate --config-file pmcm/sysu MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
  with re-ranking, and flipped images averaged in:
    vireid evaluate --config-file pmcm/sysu MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth \\
        TEST.RERANKER MSER TEST.FLIP.ENABLED True
  the features as well, for numpy.load:
    vireid evaluate --config-file pmcm/sysu --save-features features.npz \\
        MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The config, a file for features, and several processes."""
    parser.add_argument(
        "--save-features",
        metavar="FILE.npz",
        help="write features, paths, pids, camids and modalities of all test images there",
    )
    add_launch_arguments(parser)
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Evaluate, beside the run that is evaluated, not over it."""
    relaunch(args)
    from vireid.engine import evaluate_weights, full_config
    from vireid.engine.toolkit_calls import evaluate_recipe

    args.eval_only = True  # the toolkit's setup asks
    cfg = full_config(args.config_file, args.opts)
    cfg.OUTPUT_DIR = os.path.join(cfg.OUTPUT_DIR, "eval")
    cfg = joined(cfg, args)
    if host.is_vireid(cfg):
        evaluate_weights(cfg, args.save_features)
    elif args.save_features:
        raise ConfigError(
            f"--save-features needs MODEL.META_ARCHITECTURE VIReID; it is {cfg.MODEL.META_ARCHITECTURE}"
        )
    else:
        evaluate_recipe(cfg)
