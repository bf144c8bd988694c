"""What the processes of a run do that are given different things, and how they wait for each other."""

import datetime
import os
import shutil
import sys
import time
from pathlib import Path
from urllib.error import URLError

import torch
import torch.distributed as dist
from fastreid.utils import comm

from configs import tiny_config
from stopped_processes import run_command, words
from vireid import meeting
from vireid.errors import ConfigError, MachineError
from vireid.modeling import pretrained


def settings_of(rank, changes):
    """The changes of a case, those of its last process with ``_1`` after their names left to it alone."""
    own = {name: value for name, value in changes.items() if not name.endswith("_1")}
    theirs = {name.removesuffix("_1"): value for name, value in changes.items() if name.endswith("_1")}
    return {**own, **(theirs if rank == 1 else {})}


def train_each(folder, cases):
    """Train each case; every process saves how its commands ended.

    Args:
        cases: name -> (data, flags, changes): the folder of the datasets that the second process has, flags
            of the command, and settings, see ``settings_of``.
    """
    rank, ends = comm.get_rank(), {}
    sys.path.append(str(folder / f"plugins_{rank}"))
    shared = os.environ["FASTREID_DATASETS"]
    for name, (data, flags, changes) in cases.items():
        os.environ["FASTREID_DATASETS"] = data if data and rank == 1 else shared
        output = folder / name / str(rank)  # a folder on each machine
        arguments = words(output, *flags, SOLVER__MAX_EPOCH=1, **settings_of(rank, changes))
        ends[name] = run_command(arguments)
    torch.save(ends, folder / f"{rank}.pth")


def copy_of_data(data, folder):
    """The datasets without those that no case uses, to be changed."""
    return shutil.copytree(data, folder, ignore=shutil.ignore_patterns("RegDB", "LLCM"))


def wait(folder):
    """Wait for a process that comes after the time in which a collective operation has to end, and for one
    that is lost; each process saves what it was told."""
    dist.distributed_c10d._set_pg_timeout(datetime.timedelta(seconds=1), dist.group.WORLD)
    if comm.get_rank() == 0:
        time.sleep(2.0)
    told = meeting.meet(comm.get_rank() + 10)
    meeting.SILENT_SECONDS, meeting.BEAT_SECONDS = 1.0, 60.0 if comm.get_rank() else 0.1
    error = ""
    if comm.get_rank() == 0:
        try:
            meeting.meet()
        except MachineError as lost:
            error = str(lost)
    else:
        time.sleep(1.0)
    torch.save((told, error), folder / f"{comm.get_rank()}.pth")


def download_each(folder):
    """Download the weights of a backbone, as the one process of a machine that has a home of its own; then
    again, where the second machine has no network. Each process saves where they are, and the error."""
    rank, fetched = comm.get_rank(), []
    os.environ["LOCAL_RANK"] = "0"

    def download(url, target):
        fetched.append(target)
        if fetched_by_now and rank == 1:
            raise URLError("no network")
        Path(target).touch()

    torch.hub.download_url_to_file = download
    cfg = tiny_config(MODEL__BACKBONE__NAME="build_resnet_backbone", MODEL__BACKBONE__DEPTH="18x")
    os.environ["TORCH_HOME"] = str(folder / f"machine_{rank}")
    fetched_by_now = False
    fetched.append(str(pretrained._download(cfg)))
    fetched_by_now, error = True, ""
    os.environ["TORCH_HOME"] = str(folder / f"other_{rank}")
    try:
        pretrained._download(cfg)
    except ConfigError as refused:
        error = str(refused)
    torch.save((fetched[:2], error), folder / f"{rank}.pth")
