"""SYSU-MM01's folders and lists: cam1..cam6/<id:04d>/<number:04d>.jpg and exp/."""

import io

import numpy as np
from scipy.io import savemat

from synthvi.layouts.plan import Draw, Plan, Shot, draw_camera, id_list

TRIALS = 10
INFRARED, OUTDOOR = (3, 6), (4, 5, 6)  # camera numbers
PLACES = {1: 1, 2: 2, 3: 2, 4: 4, 5: 5, 6: 6}  # camera 3 watches the place of camera 2
VALIDATION_SHARE = 99 / 395  # validation identities among those that are not for testing


def plan_sysu_mm01(train: np.ndarray, test: np.ndarray, images: int, seed: int, draw: Draw) -> Plan:
    """The plan of a dataset in SYSU-MM01's layout.

    Args:
        train: (N,) int identities for training and validation; a quarter of them are for validation.
        test: (M,) int identities for testing.
        images: per identity and camera.
    """
    held_out = max(1, round(len(train) * VALIDATION_SHARE))
    order = draw("validation").permutation(train)
    splits = {"train": np.sort(order[held_out:]), "val": np.sort(order[:held_out]), "test": test}
    counts = np.full((len(PLACES), len(train) + len(test)), images)
    return plan_counts(splits, counts, draw)


def plan_counts(splits: dict[str, np.ndarray], counts: np.ndarray, draw: Draw) -> Plan:
    """The plan of a dataset in SYSU-MM01's layout, from the images of each identity and camera.

    Args:
        splits: (N,) sorted int identities of "train", "val" and "test".
        counts: (6, identities) images, by camera - 1 and identity - 1; 0 where a camera never sees one.
    """
    cameras = {
        f"cam{n}": draw_camera(draw, f"cam{n}", n in INFRARED, place, n in OUTDOOR)
        for n, place in PLACES.items()
    }
    shots = [
        Shot(f"{camera}/{pid:04d}/{number:04d}.jpg", pid, camera, number)
        for pid in range(1, counts.shape[1] + 1)
        for camera, images in zip(cameras, counts[:, pid - 1])
        for number in range(1, images + 1)
    ]
    lists = {f"exp/{name}_id.txt": id_list(pids) for name, pids in splits.items()}
    lists["exp/rand_perm_cam.mat"] = permutation_file(draw("permutations"), counts)
    return Plan(cameras, shots, lists, splits)


def permutation_file(rng: np.random.Generator, counts: np.ndarray) -> bytes:
    """The content of rand_perm_cam.mat.

    Args:
        rng: draws the permutations.
        counts: (cameras, identities) images.

    Returns:
        (cameras, 1) cells of (identities, 1) cells, at identity - 1, of (TRIALS, images) permutations of
        1..images; an empty array where there are no images.
    """
    dtype = np.uint8 if counts.max() < 256 else np.uint16
    by_camera = np.empty((len(counts), 1), dtype=object)
    for camera, row in enumerate(counts):
        by_identity = np.empty((len(row), 1), dtype=object)
        for index, images in enumerate(row):
            trials = [rng.permutation(images) + 1 for _ in range(TRIALS)]
            by_identity[index, 0] = np.array(trials, dtype=dtype) if images else np.empty((0, 0), dtype)
        by_camera[camera, 0] = by_identity
    file = io.BytesIO()
    savemat(file, {"rand_perm_cam": by_camera})
    header = b"MATLAB 5.0 MAT-file, generated".ljust(116)  # SciPy's header holds the time of day
    return header + file.getvalue()[116:]
