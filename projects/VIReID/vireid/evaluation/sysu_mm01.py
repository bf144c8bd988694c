"""The SYSU-MM01 protocol (Wu et al., ICCV 2017): all-search and indoor-search, single- and multi-shot."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vireid.errors import ConfigError, DatasetError
from vireid.evaluation.arrays import labels_of_images, require_trials
from vireid.evaluation.mat_file import read_cells
from vireid.evaluation.protocols import ProtocolResult, evaluate_settings
from vireid.evaluation.trials import Setting, Trial

VISIBLE_CAMERAS = (1, 2, 4, 5)
INFRARED_CAMERAS = (3, 6)
GALLERY_CAMERAS = {"all": (1, 2, 4, 5), "indoor": (1, 2)}
SHOTS = {1: "single-shot", 10: "multi-shot"}
# The place of each camera: infrared camera 3 stands where visible camera 2 does, and a query is not
# scored against images of its own place.
PLACE = {1: 1, 2: 2, 3: 2, 4: 4, 5: 5, 6: 6}

SEEDED_DRAW = "gallery by random.seed(trial)"


class Permutations(NamedTuple):
    """The file that draws the galleries, checked.

    Attributes:
        numbers: [camera - 1][identity - 1] -> (trials, images); None: drawn by ``random.seed(trial)``.
        source: its name, for messages.
    """

    numbers: list[list[np.ndarray]] | None
    source: str


Drawn = dict[tuple[int, int], tuple[int, ...]]  # (camera, identity) -> numbers of the drawn images


class SYSUProtocol:
    """One of the four settings of SYSU-MM01.

    Args:
        rand_perm_cam: path of the dataset's exp/rand_perm_cam.mat, or what loadmat reads of it, a (6, 1)
            object array: [camera - 1, 0][identity - 1, 0] is (trials, images) image numbers. None: as the
            published codes of AGW, CAJ and DEEN draw, ``random.seed(trial)`` and one choice for each
            identity and camera (multi-shot, not defined there: a sample of 10).
        search: "all" or "indoor".
        shots: gallery images per identity and camera, 1 or 10.
        trials: how many are averaged.

    Raises:
        ConfigError: an unknown search, shots or number of trials.
        DatasetError: a permutation file that cannot be read or has another form.
    """

    def __init__(self, rand_perm_cam: Any, *, search: str = "all", shots: int = 1, trials: int = 10) -> None:
        if search not in GALLERY_CAMERAS:
            raise ConfigError(f'search is "{search}"; it must be "all" or "indoor"')
        if shots not in SHOTS:
            raise ConfigError(f"shots is {shots}; it must be 1 or 10")
        require_trials(trials)
        self.search, self.shots, self.trials = search, shots, trials
        self.permutations, self._source = read_permutations(rand_perm_cam)

    @property
    def draw(self) -> str:
        """How galleries are drawn, in words."""
        return SEEDED_DRAW if self.permutations is None else "gallery by the official permutations"

    @property
    def name(self) -> str:
        """The setting's name, such as "all-search single-shot"."""
        return f"{self.search}-search {SHOTS[self.shots]}"

    def setting(self, pids: Any, camids: Any, numbers: Any) -> Setting:
        """The trials for (N,) identities, cameras 1..6 and image numbers (n of n.jpg), in any order."""
        images = _Images(pids, camids, numbers)
        query = np.array(images.of_cameras(INFRARED_CAMERAS), dtype=np.int64)
        query_keys = images.places[query]
        trials = []
        for trial in range(self.trials):
            gallery = np.array(self._gallery(images, trial), dtype=np.int64)
            trials.append(Trial(query, gallery, query_keys, images.places[gallery]))
        return Setting(self.name, tuple(trials), unique_pids=True, direction="i2v", draw=self.draw)

    def evaluate(self, features: Any, pids: Any, camids: Any, numbers: Any) -> ProtocolResult:
        """Score (N, D) features of all test images; they are L2-normalized and compared by cosine."""
        setting = self.setting(pids, camids, numbers)
        return evaluate_settings(features, pids, [setting])[setting.name]

    def _gallery(self, images: "_Images", trial: int) -> list[int]:
        cameras = GALLERY_CAMERAS[self.search]
        if self.permutations is None:
            drawn = self._draw_by_seed(images, cameras, trial)
        else:
            drawn = {
                (camera, pid): self._draw_by_permutation(camera, pid, trial)
                for camera in cameras
                for pid in images.pids_of(camera)
            }
        gallery = []
        for camera in cameras:
            for pid in images.pids_of(camera):
                numbers = images.numbers[camera, pid]
                for number in sorted(drawn[camera, pid]):
                    if number not in numbers:
                        raise DatasetError(
                            f"{self._source} draws image {number:04d}.jpg of identity {pid:04d} in camera "
                            f"{camera} (trial {trial}), which is not among the test images: the dataset is "
                            "incomplete, or the file belongs to another one"
                        )
                    gallery.append(numbers[number])
        return gallery

    def _draw_by_permutation(self, camera: int, pid: int, trial: int) -> tuple[int, ...]:
        cells = self.permutations[camera - 1] if self.permutations is not None else []
        if pid > len(cells) or cells[pid - 1].shape[1] == 0:
            raise DatasetError(
                f"{self._source} has no permutation for identity {pid:04d} in camera {camera}, of which "
                "there are test images: the file belongs to another dataset"
            )
        rows = cells[pid - 1]
        if trial >= len(rows):
            raise ConfigError(
                f"{self.trials} trials were asked for, but {self._source} has {len(rows)} for identity "
                f"{pid:04d} in camera {camera}"
            )
        numbers = tuple(rows[trial, : self.shots].tolist())
        if len(set(numbers)) < len(numbers):
            raise DatasetError(
                f"{self._source} draws an image of identity {pid:04d} in camera {camera} twice (trial "
                f"{trial}): the file is damaged"
            )
        return numbers

    def _draw_by_seed(self, images: "_Images", cameras: Sequence[int], trial: int) -> Drawn:
        generator = random.Random(trial)
        drawn: Drawn = {}
        for pid in sorted({pid for camera in cameras for pid in images.pids_of(camera)}):
            for camera in cameras:
                numbers = sorted(images.numbers.get((camera, pid), ()))
                if not numbers:
                    continue
                if self.shots == 1:
                    drawn[camera, pid] = (generator.choice(numbers),)
                else:
                    drawn[camera, pid] = tuple(generator.sample(numbers, min(self.shots, len(numbers))))
        return drawn


def sysu_settings(
    pids: Any, camids: Any, numbers: Any, rand_perm_cam: Any, trials: int = 10
) -> tuple[Setting, ...]:
    """The four settings, all-search and indoor-search, each single- and multi-shot."""
    permutations = read_permutations(rand_perm_cam)
    return tuple(
        SYSUProtocol(permutations, search=search, shots=shots, trials=trials).setting(pids, camids, numbers)
        for search in GALLERY_CAMERAS
        for shots in SHOTS
    )


class _Images:
    """The test images by camera, identity and number."""

    def __init__(self, pids: Any, camids: Any, numbers: Any) -> None:
        pids, camids, numbers = labels_of_images(pids=pids, camids=camids, numbers=numbers)
        unknown = sorted(set(np.unique(camids).tolist()) - set(PLACE))
        if unknown:
            raise DatasetError(f"SYSU-MM01 has cameras 1 to 6; camids holds {unknown}")
        if len(pids) and pids.min() < 1:
            raise DatasetError(
                "pids must be SYSU-MM01's own identity numbers, integers from 1: the permutations go by them"
            )
        self.places = np.array([PLACE[camera] for camera in camids.tolist()], dtype=np.int64)
        self.numbers: dict[tuple[int, int], dict[int, int]] = {}  # (camera, pid) -> number -> position
        order = np.lexsort((numbers, pids, camids))
        for position, camera, pid, number in zip(
            order.tolist(), camids[order].tolist(), pids[order].tolist(), numbers[order].tolist()
        ):
            held = self.numbers.setdefault((camera, pid), {})
            if number in held:
                raise DatasetError(
                    f"identity {pid:04d} has image number {number:04d} twice in camera {camera} "
                    f"(rows {held[number]} and {position})"
                )
            held[number] = position

    def pids_of(self, camera: int) -> list[int]:
        """Identities seen by a camera, ascending."""
        return [pid for held, pid in self.numbers if held == camera]

    def of_cameras(self, cameras: Sequence[int]) -> list[int]:
        """Positions of the images of some cameras, by camera, identity and number."""
        return [
            position
            for (camera, _), held in self.numbers.items()
            if camera in cameras
            for position in held.values()
        ]


def _load(path: Path) -> np.ndarray:
    if not path.exists():
        raise DatasetError(f"{path} does not exist; it comes with SYSU-MM01, as exp/rand_perm_cam.mat")
    return read_cells(path, "rand_perm_cam")


def read_permutations(rand_perm_cam: Any) -> Permutations:
    """Read what ``SYSUProtocol`` takes."""
    if isinstance(rand_perm_cam, Permutations):
        return rand_perm_cam
    if rand_perm_cam is None:
        return Permutations(None, "random.seed(trial)")
    if isinstance(rand_perm_cam, np.ndarray):
        cells, source = rand_perm_cam, "rand_perm_cam"
    else:
        cells, source = _load(Path(rand_perm_cam)), str(rand_perm_cam)
    expected = "a 6x1 cell, of each camera an Nx1 cell, of each identity a matrix of trials x image numbers"
    if cells.dtype != object or cells.shape != (6, 1):
        raise DatasetError(f"{source} is {cells.shape} of {cells.dtype}; expected {expected}")
    cameras = []
    for number, camera in enumerate(cells[:, 0], start=1):
        empty = isinstance(camera, np.ndarray) and camera.size == 0
        column = isinstance(camera, np.ndarray) and camera.dtype == object and camera.shape[1:] == (1,)
        if not (empty or column):
            raise DatasetError(f"{source}, camera {number}: not an Nx1 cell; expected {expected}")
        identities = [] if empty else camera[:, 0]
        cameras.append(
            [
                _image_numbers(rows, f"{source}, camera {number}, identity {pid}", expected)
                for pid, rows in enumerate(identities, start=1)
            ]
        )
    return Permutations(cameras, source)


def _image_numbers(rows: Any, where: str, expected: str) -> np.ndarray:
    """(trials, images) int64."""
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.dtype.kind not in "iuf":
        raise DatasetError(f"{where}: not a matrix of numbers; expected {expected}")
    wrong = ~((rows >= 1) & (rows < 2**31))
    if rows.dtype.kind == "f":
        wrong |= rows != np.round(rows)
    if wrong.any():
        raise DatasetError(f"{where}: {rows[wrong][0]} is no image number; expected whole numbers from 1")
    return rows.astype(np.int64)
