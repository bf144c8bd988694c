"""A dataset of your own, from a table: path, identity, camera, modality and subset of each image."""

import os
import random
from collections import defaultdict
from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from fastreid.data.datasets import DATASET_REGISTRY

from vireid.csv_rows import read_rows
from vireid.data.datasets.base import ImageItem, VisibleInfraredDataset
from vireid.data.datasets.reading import Listing, refuse
from vireid.errors import ConfigError, DatasetError, choices
from vireid.evaluation.protocols import Setting, Trial
from vireid.modality import WORDS, Modality

COLUMNS = ("path", "identity", "camera", "modality", "subset")
TRACK = "track"
SUBSETS = ("train", "query", "gallery", "test")
TEST = SUBSETS[1:]
HINT = "vireid data list writes such a file"


class Numbered(int):
    """The number of a name, which is shown as the name."""

    name: str

    def __new__(cls, number: int, name: str = "") -> "Numbered":
        numbered = super().__new__(cls, number)
        numbered.name = name
        return numbered

    def __str__(self) -> str:
        return self.name

    def __format__(self, spec: str) -> str:
        return format(int(self), spec) if spec else self.name


class Line(NamedTuple):
    """A line of the table."""

    item: ImageItem
    subset: str


@DATASET_REGISTRY.register()
class List(VisibleInfraredDataset):
    """The images of a CSV file with the columns of COLUMNS.

    ``path`` is relative to the file's folder. ``identity`` and ``camera`` are numbers or names. ``modality``
    is visible or infrared, or another of ``vireid.modality.WORDS``. ``subset`` is train or test; or, to fix
    which test images are queries and which are the gallery, query or gallery. An image of test is both.
    ``track``, a column that may be missing, is a name: images of one track, identity, camera, modality and
    subset count as one in a test. They are its frames, in the order of their paths.

    Args:
        file: the CSV file.
        shots: gallery images of each identity and camera, drawn anew for each trial by
            ``random.seed(trial)``; 0: all of them, in one trial.

    Raises:
        ConfigError: no such file.
    """

    folder = ""

    def __init__(self, file: str, shots: int = 0) -> None:
        self.report = refuse
        self.file, self.shots = os.path.abspath(os.path.expanduser(file)), shots
        self.dataset_dir = os.path.dirname(self.file)
        if not file or not os.path.isfile(self.file):
            raise ConfigError(
                f"DATASETS.LIST.FILE is {file!r}; expected a CSV file with the columns {', '.join(COLUMNS)}; "
                f"{HINT}"
            )

    @classmethod
    def from_config(cls, cfg: Any, root: str) -> "List":
        """Read DATASETS.LIST."""
        return cls(cfg.DATASETS.LIST.FILE, cfg.DATASETS.LIST.SHOTS)

    def read_train(self) -> list[ImageItem]:
        """The images of the subset train."""
        return [line.item for line in self._lines if line.subset == "train"]

    def read_test(self) -> list[ImageItem]:
        """The other images."""
        return [line.item for line in self._lines if line.subset != "train"]

    def identity(self, item: ImageItem) -> Hashable:
        """The file names an identity alike in training and test."""
        return item.pid

    def searchable(self) -> list[bool]:
        """All test images but those of the subset query; of a track, the first stands for it."""
        return [
            line.subset != "query" and first
            for line, first in zip((li for li in self._lines if li.subset != "train"), self._standing())
        ]

    def _standing(self) -> list[bool]:
        """Which test images are of no track or the first of theirs."""
        first = {item.track: place for place, item in reversed([*enumerate(self.test)])}
        return [item.track is None or first[item.track] == place for place, item in enumerate(self.test)]

    def settings(self, trials: int = 10) -> tuple[Setting, ...]:
        """Infrared to visible and visible to infrared, each where there are queries and a gallery.

        Raises:
            DatasetError: neither has both.
        """
        subsets = np.array([line.subset for line in self._lines if line.subset != "train"])
        modalities = np.array([item.modality for item in self.test])
        standing = np.array(self._standing())
        built = []
        for name, direction, asked, searched in (
            ("infrared-to-visible", "i2v", Modality.INFRARED, Modality.VISIBLE),
            ("visible-to-infrared", "v2i", Modality.VISIBLE, Modality.INFRARED),
        ):
            query = np.flatnonzero(standing & (modalities == asked) & (subsets != "gallery"))
            gallery = np.flatnonzero(standing & (modalities == searched) & (subsets != "query"))
            if len(query) and len(gallery):
                drawn = self._galleries(gallery, trials)
                draw = f"{self.shots} of each identity and camera by random.seed(trial)"
                built.append(
                    Setting(
                        name,
                        tuple(Trial(query, images) for images in drawn),
                        unique_pids=False,
                        direction=direction,
                        draw=draw if self.shots else "all images",
                    )
                )
        if not built:
            raise DatasetError(
                f"{self.file}: no test is possible; expected images of subset test (or query and gallery) of "
                "both modalities"
            )
        return tuple(built)

    def _galleries(self, images: np.ndarray, trials: int) -> list[np.ndarray]:
        """The gallery of each trial, some of ``images``."""
        if not self.shots:
            return [images]
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for position in images.tolist():
            groups[self.test[position].pid, self.test[position].camid].append(position)
        drawn = []
        for trial in range(trials):
            generator = random.Random(trial)
            picked = [
                position
                for _, group in sorted(groups.items())
                for position in sorted(generator.sample(group, min(self.shots, len(group))))
            ]
            drawn.append(np.array(picked, dtype=np.int64))
        return drawn

    @cached_property
    def _lines(self) -> list[Line]:
        rows = read_table(self.file)
        identities = numbered([row["identity"] for row in rows])
        cameras = numbered([row["camera"] for row in rows])
        tracks = {key: number for number, key in enumerate(dict.fromkeys(map(_track, rows)))}
        lines = [
            Line(
                ImageItem(
                    os.path.join(self.dataset_dir, row["path"]),
                    identities[row["identity"]],
                    cameras[row["camera"]],
                    WORDS[row["modality"]],
                    tracks[_track(row)] if row["track"] else None,
                ),
                row["subset"],
            )
            for row in rows
        ]
        # Equal distances are ranked in the order of the test images, which is that of the other datasets.
        lines.sort(key=lambda line: (line.item.camid, line.item.pid, line.item.path))
        return lines


def read_table(file: str) -> list[dict[str, str]]:
    """The lines of a list, each with what COLUMNS and TRACK name.

    Raises:
        DatasetError: names the line, what was found and what was expected.
    """
    names, rows = read_rows(file, (*COLUMNS, TRACK))
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise DatasetError(
            f"{file}: its first line lacks {', '.join(missing)}; expected the columns "
            f"{', '.join(COLUMNS)}; {HINT}"
        )
    lines: dict[str, str] = {}
    listing, checked = Listing(), []
    for where, row in rows:
        checked.append(_checked(row, where))
        path = os.path.normpath(row["path"])
        if not listing.has(os.path.join(os.path.dirname(file), path)):
            raise DatasetError(f"{where}: there is no image {row['path']}")
        if path in lines:
            raise DatasetError(f"{where}: {row['path']} stands in {lines[path]} already")
        lines[path] = where.rpartition(", ")[2]
    return checked


def _checked(row: dict[str, str], where: str) -> dict[str, str]:
    found = {name: row[name] for name in COLUMNS}
    empty = [name for name, value in found.items() if not value]
    if empty:
        raise DatasetError(f"{where}: no {' and no '.join(empty)}")
    found["modality"], found["subset"] = found["modality"].lower(), found["subset"].lower()
    for name, known in (("modality", list(WORDS)), ("subset", list(SUBSETS))):
        if found[name] not in known:
            raise DatasetError(f"{where}: {name} is {found[name]!r}; {choices(found[name], known)}")
    return {**found, TRACK: row.get(TRACK, "")}


def _track(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in (*COLUMNS[1:], TRACK))


def numbered(names: Sequence[str]) -> dict[str, int]:
    """Name -> number: its own where all are numbers of up to 18 digits, else its place among the names."""
    known = sorted(set(names))
    if all(name.isascii() and name.isdigit() and len(name) <= 18 for name in known):
        return {name: int(name) for name in known}
    return {name: Numbered(place, name) for place, name in enumerate(known)}
