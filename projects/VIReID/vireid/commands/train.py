"""Train a model, and evaluate it.

Datasets are found under $FASTREID_DATASETS (default: datasets/); see datasets/README.md.
"""

import argparse

from vireid.commands.arguments import add_config_arguments
from vireid.commands.launch import add_launch_arguments, joined, relaunch

EXAMPLES = """
examples:
  train PMCM on SYSU-MM01:
    vireid train --config-file pmcm/sysu
  go on after an interruption:
    vireid train --config-file pmcm/sysu --resume
  go on with other settings, which an ordinary --resume refuses:
    vireid train --config-file pmcm/sysu --force-resume SOLVER.IMS_PER_BATCH 32
  another backbone, from scratch, without mixed precision:
    vireid train --config-file pmcm/sysu \\
        MODEL.BACKBONE.NAME build_osnet_backbone MODEL.BACKBONE.DEPTH x1_0 \\
        MODEL.BACKBONE.WITH_NL False MODEL.BACKBONE.PRETRAIN False SOLVER.AMP.ENABLED False
  two processes (GPUs, or CPU where there is none):
    vireid train --num-gpus 2 --config-file pmcm/sysu
    torchrun --nproc_per_node 2 -m vireid train --config-file pmcm/sysu
  a recipe of the toolkit's own, by its trainer:
    vireid train --config-file fast-reid/configs/Market1501/bagtricks_R50.yml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The toolkit's arguments, with its names."""
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the newest checkpoint of OUTPUT_DIR, if there is one",
    )
    parser.add_argument(
        "--force-resume", action="store_true", help="--resume, also where the config is not the run's"
    )
    parser.add_argument("--eval-only", action="store_true", help="evaluate instead, as vireid evaluate does")
    add_launch_arguments(parser)
    add_config_arguments(parser, "what is trained")


def run(args: argparse.Namespace) -> None:
    """Train; with --eval-only, evaluate."""
    if args.eval_only:
        from vireid.commands import evaluate

        args.save_features = None
        evaluate.run(args)
        return
    relaunch(args)
    from fastreid.engine import DefaultTrainer

    from vireid.engine import VIReIDTrainer, full_config

    cfg = joined(full_config(args.config_file, args.opts), args)
    trainer, resume = DefaultTrainer(cfg), args.resume or args.force_resume
    if isinstance(trainer, VIReIDTrainer):
        trainer.resume_or_load(resume=resume, force=args.force_resume)
    else:  # a recipe of the toolkit's
        trainer.resume_or_load(resume=resume)
    trainer.train()


def interrupted(args: argparse.Namespace) -> str:
    """What goes on with a training."""
    return "" if args.eval_only else "; --resume goes on from the newest checkpoint, if any"
