"""Folders, file names and lists of SYSU-MM01, RegDB and LLCM, as their real loaders read them.

A plan says which images there are and what the lists hold; it renders nothing. Which identities are
for training and which for testing is drawn at random, so neither is a contiguous range of numbers.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.io import savemat

from synthvi.person import person_of
from synthvi.scene import Camera, sample_camera
from vireid.errors import UserError

TRIALS = 10
Draw = Callable[[str], np.random.Generator]  # a generator for each purpose


@dataclass(frozen=True)
class Shot:
    """One image to render: where it goes, of whom, by which camera; number counts from 1."""

    path: str
    pid: int
    camera: str
    number: int


@dataclass(frozen=True)
class Plan:
    """A whole data set.

    Attributes:
        cameras: by name.
        shots: every image, grouped by identity and camera.
        lists: the content of each list file, by path; written when all images are there.
        fixed_facing: a person is seen only from the front, or only from behind (RegDB).
    """

    cameras: dict[str, Camera]
    shots: list[Shot]
    lists: dict[str, bytes]
    fixed_facing: bool = False


@dataclass(frozen=True)
class Layout:
    """A data set's real figures, which the defaults follow.

    Attributes:
        folder: its folder below $FASTREID_DATASETS.
        real_test, real_total: identities of the real data.
        minimum: identities without which a split would be empty.
    """

    folder: str
    real_test: int
    real_total: int
    minimum: int
    plan: Callable[[np.ndarray, np.ndarray, int, int, Draw], Plan]


def make_plan(
    layout: str, identities: int, images: int, seed: int, test_identities: int | None = None
) -> Plan:
    """What to render for a layout.

    Args:
        layout: "sysu", "regdb" or "llcm".
        identities: how many persons in all.
        images: per person and camera; for RegDB per person and modality.
        test_identities: how many of the persons are for testing; by default as many, in proportion, as
            in the real data.

    Raises:
        UserError: a number is too small or too large.
    """
    if layout not in LAYOUTS:
        raise UserError(f"layout is {layout!r}; expected one of {', '.join(LAYOUTS)}")
    real = LAYOUTS[layout]
    if not real.minimum <= identities <= 9999:
        raise UserError(f"identities is {identities}; layout {layout} needs {real.minimum} to 9999")
    if not 1 <= images <= 999:
        raise UserError(f"images is {images}; expected 1 to 999")
    if seed < 0:
        raise UserError(f"seed is {seed}; expected 0 or more")
    most = identities - (real.minimum - 1)
    if test_identities is None:
        test_identities = min(max(1, round(identities * real.real_test / real.real_total)), most)
    if not 1 <= test_identities <= most:
        raise UserError(
            f"test_identities is {test_identities}; with {identities} identities expected 1 to {most}"
        )

    def draw(purpose: str) -> np.random.Generator:
        return np.random.default_rng([seed, *purpose.encode()])

    order = draw("split").permutation(np.arange(1, identities + 1))
    test, train = np.sort(order[:test_identities]), np.sort(order[test_identities:])
    return real.plan(train, test, images, seed, draw)


def _camera(draw: Draw, name: str, infrared: bool, place: int, outdoor: bool) -> Camera:
    return sample_camera(draw(f"camera {name}"), infrared, place, outdoor)


def _id_list(pids: np.ndarray) -> bytes:
    return (",".join(str(pid) for pid in pids) + "\n").encode()


def _sysu(train: np.ndarray, test: np.ndarray, images: int, seed: int, draw: Draw) -> Plan:
    """cam1..cam6/<id>/<number>.jpg; 3 and 6 are infrared, 3 is in the place of 2, 4..6 are outdoors."""
    cameras = {
        f"cam{n}": _camera(
            draw, f"cam{n}", infrared=n in (3, 6), place=2 if n == 3 else n, outdoor=n in (4, 5, 6)
        )
        for n in range(1, 7)
    }
    pids = np.sort(np.concatenate([train, test]))
    shots = [
        Shot(f"{camera}/{pid:04d}/{number:04d}.jpg", int(pid), camera, number)
        for pid in pids
        for camera in cameras
        for number in range(1, images + 1)
    ]
    held_out = max(1, round(len(train) * 99 / 395))  # the real validation identities: 99 of 395
    order = draw("validation").permutation(train)
    return Plan(
        cameras,
        shots,
        {
            "exp/rand_perm_cam.mat": permutation_file(draw("permutations"), len(cameras), len(pids), images),
            "exp/train_id.txt": _id_list(np.sort(order[held_out:])),
            "exp/val_id.txt": _id_list(np.sort(order[:held_out])),
            "exp/test_id.txt": _id_list(test),
        },
    )


def permutation_file(rng: np.random.Generator, cameras: int, identities: int, images: int) -> bytes:
    """rand_perm_cam.mat: per camera and identity (at identity - 1), `TRIALS` permutations of 1..images."""
    dtype = np.uint8 if images < 256 else np.uint16
    by_camera = np.empty((cameras, 1), dtype=object)
    for camera in range(cameras):
        by_identity = np.empty((identities, 1), dtype=object)
        for index in range(identities):
            trials = [rng.permutation(images) + 1 for _ in range(TRIALS)]
            by_identity[index, 0] = np.array(trials, dtype=dtype)
        by_camera[camera, 0] = by_identity
    file = io.BytesIO()
    savemat(file, {"rand_perm_cam": by_camera})
    header = b"MATLAB 5.0 MAT-file, generated".ljust(116)  # in place of one that holds the time
    return header + file.getvalue()[116:]


def _regdb(train: np.ndarray, test: np.ndarray, images: int, seed: int, draw: Draw) -> Plan:
    """Visible/<id>/*.bmp and Thermal/<id>/*.bmp; ten random splits. The names hold no leading zeros."""
    cameras = {
        "Visible": _camera(draw, "Visible", False, 1, True),
        "Thermal": _camera(draw, "Thermal", True, 1, True),
    }
    pids = np.sort(np.concatenate([train, test]))
    paths: dict[tuple[str, int], list[str]] = {}
    shots = []
    serial = 0
    for pid in pids:
        person = person_of(seed, int(pid))
        for camera in cameras:
            paths[camera, int(pid)] = []
            for number in range(1, images + 1):
                serial += 1
                name = f"{person.gender}_{person.facing}_{camera[0].lower()}_{serial:05d}_{pid}.bmp"
                paths[camera, int(pid)].append(f"{camera}/{pid}/{name}")
                shots.append(Shot(paths[camera, int(pid)][-1], int(pid), camera, number))
    lists = {}
    for trial in range(1, TRIALS + 1):
        order = draw(f"trial {trial}").permutation(pids)
        for part, chosen in (("train", order[len(test) :]), ("test", order[: len(test)])):
            for camera in cameras:
                lines = [
                    f"{path} {label}\n"
                    for label, pid in enumerate(chosen)
                    for path in paths[camera, int(pid)]
                ]
                lists[f"idx/{part}_{camera.lower()}_{trial}.txt"] = "".join(lines).encode()
    return Plan(cameras, shots, lists, fixed_facing=True)


def _llcm(train: np.ndarray, test: np.ndarray, images: int, seed: int, draw: Draw) -> Plan:
    """Nine visible cameras and eight infrared ones (no camera 3), each pair in one place."""
    cameras = {}
    for modality in ("vis", "nir"):
        for number in range(1, 10):
            if (modality, number) != ("nir", 3):
                name = f"{modality}/cam{number}"
                cameras[name] = _camera(draw, name, modality == "nir", number, outdoor=number > 4)
    shots = []
    lists: dict[str, list[str]] = {"idx/train_vis.txt": [], "idx/train_nir.txt": []}
    labels = {int(pid): label for label, pid in enumerate(train)}
    clock = draw("clock")
    for pid in map(int, np.sort(np.concatenate([train, test]))):
        for camera in cameras:
            modality, place = camera.split("/")
            time = f"{clock.integers(18, 22)}{clock.integers(60):02d}{clock.integers(60):02d}"
            frame, step = int(clock.integers(1, 4000)), int(clock.integers(5, 20))
            for number in range(1, images + 1):
                name = f"{pid:04d}_c0{place[-1]}_s{time}_f{frame + step * (number - 1)}_{modality}.jpg"
                if pid in labels:
                    path = f"{modality}/{pid:04d}/{name}"
                    lists[f"idx/train_{modality}.txt"].append(f"{path} {labels[pid]}\n")
                else:
                    path = f"test_{modality}/{place}/{pid:04d}/{name}"
                shots.append(Shot(path, pid, camera, number))
    files = {path: "".join(lines).encode() for path, lines in lists.items()}
    return Plan(cameras, shots, {**files, "idx/test_id.txt": _id_list(test)})


LAYOUTS = {
    "sysu": Layout("SYSU-MM01", 96, 491, 3, _sysu),
    "regdb": Layout("RegDB", 206, 412, 2, _regdb),
    "llcm": Layout("LLCM", 351, 1064, 2, _llcm),
}
