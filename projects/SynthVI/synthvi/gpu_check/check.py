"""All parts one after the other, within the given time."""

import shlex
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthvi.gpu_check.images import prepare_images
from synthvi.gpu_check.machine import machine_facts
from synthvi.gpu_check.parts import ROOT, all_parts, run_part
from synthvi.gpu_check.report import NAMES, Report, summary
from synthvi.gpu_check.scale import Scale

PARTS = ("tests", "step", "data", "trainings")
LEAST_SECONDS = 5.0  # a part is not begun with less


def run_check(
    scale: Scale, device: str, minutes: float, output: Path, images: Path | None, parts: Sequence[str] = PARTS
) -> int:
    """Run the parts; a part that fails or takes too long does not end the others.

    Args:
        device: "cuda" or "cpu".
        output: the folder of the report and the logs.
        images: of ``prepare_images``; None renders them in ``output``.
        parts: some of PARTS.

    Returns:
        The exit status: 0 where all parts are done.
    """
    ends = time.monotonic() + 60 * minutes
    output.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "tools/gpu.py", *sys.argv[1:]])
    about = {"command": command, "scale": scale.name, "device": device, "minutes": minutes}
    report = Report(output, machine_facts(ROOT, device), about)
    outcomes: list[str] = []

    def add(name: str, result: dict[str, Any]) -> None:
        report.add(name, result)
        outcomes.append(result["outcome"])
        print(summary(name, result), flush=True)

    images = images or output / f"images-{scale.name}"
    if "trainings" in parts:
        add("images", _images_part(images, scale))
    for part in all_parts(scale, device, output.resolve(), images.resolve()):
        if part.name in parts:
            left = ends - time.monotonic()
            add(part.name, run_part(part, max(LEAST_SECONDS, min(left, 60 * minutes * part.share)), output))
    print("report: " + ", ".join(str(output / name) for name in NAMES))
    return int(any(outcome != "done" for outcome in outcomes))


def _images_part(folder: Path, scale: Scale) -> dict[str, Any]:
    started, outcome, figures = time.monotonic(), "done", None
    try:
        figures = prepare_images(folder, scale)
    except Exception as error:  # the tests and the benchmarks need no images
        traceback.print_exc()
        outcome = f"failed: {error}"
    return {"outcome": outcome, "seconds": round(time.monotonic() - started, 1), "figures": figures}
