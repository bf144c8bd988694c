#!/usr/bin/env python
"""Train or evaluate a model for visible-infrared person re-identification.

Datasets are found under $FASTREID_DATASETS (default: datasets/); see datasets/README.md.
"""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import os
import sys
import traceback

EXAMPLES = """
examples:
  train PMCM on SYSU-MM01:
    python tools/train_net.py --config-file projects/PMCM/configs/sysu.yml
  go on after an interruption:
    python tools/train_net.py --config-file projects/PMCM/configs/sysu.yml --resume
  evaluate:
    python tools/train_net.py --config-file projects/PMCM/configs/sysu.yml --eval-only \\
        MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
  another backbone, from scratch, in bf16:
    python tools/train_net.py --config-file projects/PMCM/configs/sysu.yml \\
        MODEL.BACKBONE.NAME build_osnet_backbone MODEL.BACKBONE.DEPTH x1_0 \\
        MODEL.BACKBONE.WITH_NL False MODEL.BACKBONE.PRETRAIN False SOLVER.AMP.ENABLED True
  two processes (GPUs, or CPU where there is none):
    torchrun --nproc_per_node 2 tools/train_net.py --config-file projects/PMCM/configs/sysu.yml

Errors in the config or the data are one line; VIREID_TRACEBACK=1 shows where they were raised.
"""


def parse_arguments() -> argparse.Namespace:
    """The toolkit's arguments, with examples."""
    import vireid  # noqa: F401  isort: skip  (makes the toolkit importable)
    from fastreid.engine import default_argument_parser

    parser = default_argument_parser()
    parser.description = __doc__
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--force-resume", action="store_true", help="--resume, also where the config is that of another run"
    )
    return parser.parse_args()


def run(args: argparse.Namespace) -> None:
    """Train, or evaluate with --eval-only."""
    from _configurations import full_config
    from vireid import host
    from vireid.engine import VIReIDTrainer, evaluate_weights, setup
    from vireid.errors import ConfigError

    if not args.config_file:
        raise ConfigError("--config-file is missing; for example projects/PMCM/configs/sysu.yml")
    cfg = full_config(args.config_file, args.opts)
    if args.eval_only:  # beside the run that is evaluated, not over it
        cfg.OUTPUT_DIR = os.path.join(cfg.OUTPUT_DIR, "eval")
    host.join_process_group(cfg.MODEL.DEVICE)
    cfg = setup(cfg, args)
    if args.eval_only:
        evaluate_weights(cfg)
        return
    trainer = VIReIDTrainer(cfg)
    trainer.resume_or_load(resume=args.resume or args.force_resume, force=args.force_resume)
    trainer.train()


def relaunch(args: argparse.Namespace) -> None:
    """Replace this process by torchrun with --num-gpus processes."""
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={args.num_gpus}"]
    if args.num_machines > 1:
        address, _, port = args.dist_url.removeprefix("tcp://").rpartition(":")
        command += [f"--nnodes={args.num_machines}", f"--node_rank={args.machine_rank}"]
        command += [f"--master_addr={address}", f"--master_port={port}"]
    os.execv(sys.executable, [*command, *sys.argv])


def main() -> int:
    """The exit status: 0; 2 for what the user can mend; 1 for what the machine did, such as a full disk;
    128 + the number of the signal that stopped it: 130 after Ctrl-C, 143 after SIGTERM."""
    from vireid.errors import ConfigError, UserError

    args = parse_arguments()
    if args.num_gpus * args.num_machines > 1 and "LOCAL_RANK" not in os.environ:
        relaunch(args)
    # What is the same to every process of a machine is said once.
    speaks = os.environ.get("LOCAL_RANK", "0") == "0"
    try:
        run(args)
    except UserError as error:
        if os.environ.get("VIREID_TRACEBACK"):
            traceback.print_exc()
        if speaks or not isinstance(error, ConfigError):
            print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:  # a full disk, a folder that cannot be written to
        if os.environ.get("VIREID_TRACEBACK"):
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        if speaks:
            print(str(error) or "interrupted", file=sys.stderr)
        return getattr(error, "exit_status", 130)
    return 0


if __name__ == "__main__":
    sys.exit(main())
