"""Writes a dataset: the images in parallel, then the lists. A folder with lists is complete."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from synthvi.conditions import PLAIN_CONDITIONS, Conditions
from synthvi.layouts.layout import make_plan
from synthvi.layouts.plan import Plan, Shot
from synthvi.persons.people import People
from synthvi.render import Renderer
from synthvi.sighting import draw_sighting
from synthvi.situation import draw_situation
from vireid.errors import DatasetError, UserError

_JPEG_QUALITY = 92


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        output: the dataset's folder.
        plan: the images and lists in it.
        seconds: wall-clock time of rendering and writing.
    """

    output: Path
    plan: Plan
    seconds: float

    @property
    def images_per_second(self) -> float:
        """Rendered and written images a second, all processes together."""
        return len(self.plan.shots) / max(self.seconds, 1e-9)


class _Worker:
    """Renders and writes images; one in each process."""

    def __init__(
        self, output: Path, plan: Plan, seed: int, size: tuple[int, int], conditions: Conditions
    ) -> None:
        self.output, self.plan, self.seed, self.conditions = output, plan, seed, conditions
        self.people = People(seed, plan.splits.values(), conditions)
        self.renderer = Renderer(plan.cameras, seed, *size, conditions, self.people.stranger)
        self.camera_numbers = {name: number for number, name in enumerate(plan.cameras)}

    def write(self, shots: list[Shot]) -> int:
        """Write the images of one identity and camera; returns their number."""
        pid, camera = shots[0].pid, shots[0].camera
        number = self.camera_numbers[camera]
        sighting = draw_sighting(
            self.people.person(pid),
            self.plan.cameras[camera],
            self.conditions,
            np.random.default_rng([self.seed, 32, pid, number]),
        )
        person = sighting.person
        back = self.plan.fixed_facing and person.facing == "back"
        for folder in {os.path.dirname(shot.path) for shot in shots}:
            os.makedirs(self.output / folder, exist_ok=True)
        for shot in shots:
            # Each image has its own generator: the files do not depend on the number of processes.
            rng, situation_rng = (
                np.random.default_rng([self.seed, purpose, pid, number, shot.number]) for purpose in (31, 33)
            )
            situation = draw_situation(
                self.conditions, situation_rng, sighting.light, sighting.tint, sighting.captured_height
            )
            pixels = self.renderer.photograph(person, camera, rng, back, situation)
            Image.fromarray(pixels).save(self.output / shot.path, quality=_JPEG_QUALITY)  # BMP has none
        return len(shots)


_worker: _Worker | None = None


def _start(*args) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the workers
    _worker = _Worker(*args)


def _write(shots: list[Shot]) -> int:
    assert _worker is not None
    return _worker.write(shots)


def _write_images(
    output: Path, plan: Plan, seed: int, size: tuple[int, int], conditions: Conditions, workers: int
) -> Iterator[int]:
    """Write every image; yields the number of images of each finished group."""
    groups = [list(shots) for _, shots in groupby(plan.shots, key=lambda shot: (shot.pid, shot.camera))]
    workers = min(workers, len(groups))
    if workers == 1:
        yield from map(_Worker(output, plan, seed, size, conditions).write, groups)
        return
    # A forked process need not import the packages again, which takes seconds.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with context.Pool(workers, _start, (output, plan, seed, size, conditions)) as pool:
        yield from pool.imap_unordered(_write, groups, chunksize=4)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def check_output(output: str | os.PathLike) -> Path:
    """The output folder as a path; it must be empty or new.

    Raises:
        DatasetError: it is a file, or a folder that holds something.
    """
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise DatasetError(f"{folder} is a file; give a folder that is empty or does not exist")
    if folder.is_dir() and any(folder.iterdir()):
        raise DatasetError(f"{folder} is not empty; give another folder, or empty this one first")
    return folder


def check_size(size: tuple[int, int]) -> tuple[int, int]:
    """The size itself: (height, width) of an image in pixels.

    Raises:
        UserError: a height outside 32..1024 or a width outside 16..1024.
    """
    height, width = size
    if not (32 <= height <= 1024 and 16 <= width <= 1024):
        raise UserError(
            f"size is {height}x{width}; expected a height of 32 to 1024 and a width of 16 to 1024"
        )
    return height, width


def generate_dataset(
    layout: str,
    output: str | os.PathLike,
    *,
    identities: int,
    images: int,
    seed: int,
    size: tuple[int, int] = (256, 128),
    workers: int | None = None,
    test_identities: int | None = None,
    conditions: Conditions = PLAIN_CONDITIONS,
    progress: bool = True,
) -> Report:
    """Render a visible-infrared dataset with the folders, file names and lists of a real one.

    The same arguments give the same bytes in every file, whatever the number of workers. An identity
    of a seed looks the same in every dataset.

    Args:
        layout: "sysu" (SYSU-MM01), "regdb", "llcm" or "vcm" (HITSZ-VCM).
        output: the dataset's own folder, for example datasets/SYSU-MM01; new or empty.
        identities: persons, training and test together.
        images: per person and camera (sysu: 6 cameras, llcm: 17, vcm: 8, 12 images or more); for regdb per
            person and modality.
        seed: 0 or more.
        size: (height, width) of the images in pixels.
        workers: processes; by default one for each core.
        test_identities: persons for testing; by default the share of the real dataset (sysu 96 of 491,
            regdb half, llcm 351 of 1064, vcm 427 of 927).
        conditions: under which the images are taken; by default aligned boxes, good light, no occlusion.
        progress: show a progress bar on the terminal.

    Raises:
        UserError: an argument is out of range.
        DatasetError: the output folder holds something, or cannot be written.
    """
    folder = check_output(output)
    plan = make_plan(layout, identities, images, seed, test_identities)
    return write_dataset(plan, folder, seed, size, conditions, workers, progress)


def write_dataset(
    plan: Plan,
    output: str | os.PathLike,
    seed: int,
    size: tuple[int, int],
    conditions: Conditions = PLAIN_CONDITIONS,
    workers: int | None = None,
    progress: bool = True,
) -> Report:
    """Render the images of a plan and write its lists; arguments and errors as in ``generate_dataset``.

    Where a plan shows a person from one side only (RegDB), both cameras see the same moment.
    """
    folder = check_output(output)
    if plan.fixed_facing:
        conditions = replace(conditions, other_moments=False, from_behind=0.0)
    size = check_size(size)
    workers = _cores() if workers is None else workers
    if workers < 1:
        raise UserError(f"workers is {workers}; expected 1 or more")
    start = time.perf_counter()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tqdm(
            total=len(plan.shots), unit="img", disable=None if progress else True, desc=folder.name
        ) as bar:
            for count in _write_images(folder, plan, seed, size, conditions, workers):
                bar.update(count)
        for path, content in plan.lists.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(content)
    except OSError as error:
        raise DatasetError(f"cannot write to {folder}: {error}") from error
    return Report(folder, plan, time.perf_counter() - start)
