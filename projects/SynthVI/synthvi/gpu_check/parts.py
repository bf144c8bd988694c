"""The parts of the check. Each runs in processes of its own, which end when its time is over."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthvi.gpu_check import pytest_lines
from synthvi.gpu_check.scale import Scale
from vireid.runs.child_processes import child_environment

ROOT = Path(__file__).resolve().parents[4]
GRACE_SECONDS = 5  # between SIGTERM and SIGKILL
LOG_LINES = 25  # that are kept of a part that failed
MARK = "pytest.mark.gpu"


@dataclass(frozen=True)
class Part:
    """One part.

    Attributes:
        name: of its log and its figures.
        command: with whose exit status 0 it is done.
        share: of the whole time that it may take at most; 1: all that is left.
        figures: the file that it writes.
        read: makes plain values of that file's text.
        environment: variables beside those of this process.
    """

    name: str
    command: list[str]
    share: float
    figures: Path
    read: Callable[[str], Any] = json.loads
    environment: dict[str, str] = field(default_factory=dict)


def all_parts(scale: Scale, device: str, output: Path, images: Path) -> list[Part]:
    """The tests, both benchmarks and the trainings, in this order.

    Args:
        device: "cuda" or "cpu".
        output: folder of logs and figures.
        images: of ``prepare_images``; may be made later.
    """
    python, benchmark = sys.executable, str(ROOT / "tools" / "benchmark.py")
    lines, step, data, trained = (
        output / name for name in ("tests.jsonl", "step.json", "data.json", "trainings.json")
    )
    tested = {"GPU_TEST_DEVICE": device, "GPU_TEST_SCALE": scale.name, pytest_lines.FILE: str(lines)}
    # Options first: the benchmarks take all that follows a KEY for settings.
    on = ["--device", device, "--json"]
    training = ["--training", "pmcm/sysu"]
    return [
        Part("tests", test_command(scale), 0.35, lines, json_lines, tested),
        Part("step", [python, benchmark, "step", *on, str(step), "--dtype", "bf16", *scale.step], 0.12, step),
        Part("data", [python, benchmark, "data", *on, str(data), *training, *scale.data], 0.15, data),
        Part(
            "trainings",
            [python, "-m", "synthvi.gpu_check.trainings", scale.name, device, str(trained)],
            1.0,
            trained,
            environment={"FASTREID_DATASETS": str(images)},
        ),
    ]


def test_command(scale: Scale) -> list[str]:
    """Run the tests marked ``gpu``, on a GPU several at a time: most of their time is the CPU's."""
    files = [str(path) for path in sorted(ROOT.glob("tests/**/test_*.py")) if MARK in path.read_text()]
    jobs = min(8, (os.cpu_count() or 1) // 2) if scale.name == "full" else 0
    plugin = ["-p", pytest_lines.__name__]
    return [sys.executable, "-m", "pytest", "-m", "gpu", "-n", str(jobs), *plugin, *files]


def json_lines(text: str) -> list[Any]:
    """The values of lines of JSON; a last line that was not finished is left out."""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def run_part(part: Part, seconds: float, output: Path) -> dict[str, Any]:
    """Run a part, and read the figures that it has written by its end.

    Args:
        seconds: what it may take; the trainings are told.

    Returns:
        ``outcome``, ``seconds`` and ``figures`` (None without any), and, of a part that is not done, the end
        of its log.
    """
    started, log = time.monotonic(), output / f"{part.name}.log"
    part.figures.unlink(missing_ok=True)
    variables = {**part.environment, "GPU_CHECK_SECONDS": str(seconds)}
    with open(log, "w") as file:
        process = subprocess.Popen(
            part.command,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=child_environment(**variables),
            start_new_session=True,
        )
        try:
            status = process.wait(seconds)
            outcome = "done" if status == 0 else f"failed with exit status {status}"
        except subprocess.TimeoutExpired:
            outcome = "stopped: its time was over"
        finally:
            _end(process)
    found: dict[str, Any] = {"outcome": outcome, "seconds": round(time.monotonic() - started, 1)}
    found["figures"] = part.read(part.figures.read_text()) if part.figures.is_file() else None
    if outcome != "done":
        found["log_end"] = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    return found


def _end(process: subprocess.Popen) -> None:
    """End a process that still runs, and all that it has started."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
