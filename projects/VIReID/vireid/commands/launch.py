"""The processes of a training or an evaluation, on one machine or several."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

from vireid.runs.child_processes import child_environment

if TYPE_CHECKING:
    from yacs.config import CfgNode


def add_launch_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the toolkit's arguments for several processes."""
    group = parser.add_argument_group("several processes", "or start them with torchrun -m vireid")
    group.add_argument("--num-gpus", type=int, default=1, metavar="N", help="processes of this machine")
    group.add_argument("--num-machines", type=int, default=1, metavar="N", help="machines in all")
    group.add_argument("--machine-rank", type=int, default=0, metavar="N", help="which of them this one is")
    group.add_argument(
        "--dist-url",
        default="tcp://127.0.0.1:29500",
        metavar="URL",
        help="where the first machine is met (default tcp://127.0.0.1:29500); used for several machines",
    )


def relaunch(args: argparse.Namespace) -> None:
    """Replace this process by torchrun, where ``--num-gpus`` or ``--num-machines`` asks for several."""
    if args.num_gpus * args.num_machines == 1 or "LOCAL_RANK" in os.environ:
        return
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={args.num_gpus}"]
    if args.num_machines > 1:
        address, _, port = args.dist_url.removeprefix("tcp://").rpartition(":")
        command += [f"--nnodes={args.num_machines}", f"--node_rank={args.machine_rank}"]
        command += [f"--master_addr={address}", f"--master_port={port}"]
    else:
        command.append("--standalone")
    os.execve(sys.executable, [*command, "-m", "vireid", *args.command], child_environment())


def joined(cfg: "CfgNode", args: argparse.Namespace) -> "CfgNode":
    """Join the other processes, and set this one up: see ``vireid.engine.setup``."""
    from vireid import host
    from vireid.engine import setup

    host.join_process_group(cfg.MODEL.DEVICE)
    return setup(cfg, args)
