"""The images of the trainings: persons of synthvi-1.0, in a smaller number and size."""

import os
import time
from pathlib import Path
from typing import Any

from synthvi.generate import generate_dataset
from synthvi.gpu_check.scale import Scale
from synthvi.recipe import SYNTHVI_1_0

FOLDER = "SYSU-MM01"


def prepare_images(folder: Path, scale: Scale) -> dict[str, Any]:
    """Render the images on all cores; nothing where they are there already.

    Args:
        folder: what FASTREID_DATASETS is to be.

    Returns:
        What it took, as plain values.

    Raises:
        DatasetError: the folder of the dataset holds something else, or cannot be written.
    """
    dataset = folder / FOLDER
    started, before = time.perf_counter(), _processor_seconds()
    if not (dataset / "exp" / "rand_perm_cam.mat").is_file():  # the lists are written last
        generate_dataset(
            "sysu",
            dataset,
            identities=scale.identities,
            images=scale.images,
            seed=SYNTHVI_1_0.seed,
            size=scale.size,
            test_identities=scale.test_identities,
            conditions=SYNTHVI_1_0.conditions,
            progress=False,
        )
    files = [path for path in dataset.rglob("*") if path.is_file()]
    return {
        "folder": str(folder),
        "images": sum(path.suffix == ".jpg" for path in files),
        "megabytes": round(sum(path.stat().st_size for path in files) / 1e6, 1),
        "seconds": round(time.perf_counter() - started, 1),
        "seconds_of_one_core": round(_processor_seconds() - before, 1),
    }


def _processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
    return sum(os.times()[:4])
