"""On what the check ran."""

import contextlib
import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import torch

PACKAGES = ("torch", "torchvision", "fastreid", "numpy", "numba", "pillow", "onnxruntime")


def machine_facts(root: Path, device: str) -> dict[str, str]:
    """The chip, the versions and the commit, by what a table calls them.

    Args:
        root: of the checkout.
        device: "cuda" or "cpu".
    """
    facts = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")}
    if device == "cuda":
        chip = torch.cuda.get_device_properties(0)
        facts["GPU"] = (
            f"{chip.name}, {chip.total_memory / 2**30:.0f} GiB, capability {chip.major}.{chip.minor}"
        )
        facts["GPUs"] = str(torch.cuda.device_count())
        facts["CUDA, cuDNN"] = f"{torch.version.cuda}, {torch.backends.cudnn.version()}"
        facts["driver"] = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    facts["processor"] = f"{_processor()}, {len(os.sched_getaffinity(0))} cores"
    facts["system"] = f"{platform.platform()}, Python {platform.python_version()}"
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            facts[package] = importlib.metadata.version(package)
    changed = " with changes" if _output("git", "-C", str(root), "status", "--porcelain") else ""
    facts["commit"] = _output("git", "-C", str(root), "rev-parse", "HEAD") + changed
    return facts


def _processor() -> str:
    """Its name, where /proc/cpuinfo says it."""
    source = Path("/proc/cpuinfo")
    lines = source.read_text().splitlines() if source.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _output(*command: str) -> str:
    """The first line that a program prints; "" where it is not there or fails."""
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (found.stdout.strip().splitlines() or [""])[0]
