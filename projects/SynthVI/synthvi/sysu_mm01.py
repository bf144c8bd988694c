"""SYSU-MM01's folders and lists: cam1..cam6/<id:04d>/<number:04d>.jpg and exp/."""

import io

import numpy as np
from scipy.io import savemat

from synthvi.plan import Draw, Plan, Shot, draw_camera, id_list

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
    cameras = {
        f"cam{n}": draw_camera(draw, f"cam{n}", n in INFRARED, place, n in OUTDOOR)
        for n, place in PLACES.items()
    }
    pids = np.sort(np.concatenate([train, test]))
    shots = [
        Shot(f"{camera}/{pid:04d}/{number:04d}.jpg", int(pid), camera, number)
        for pid in pids
        for camera in cameras
        for number in range(1, images + 1)
    ]
    held_out = max(1, round(len(train) * VALIDATION_SHARE))
    order = draw("validation").permutation(train)
    return Plan(
        cameras,
        shots,
        {
            "exp/rand_perm_cam.mat": permutation_file(draw("permutations"), len(cameras), len(pids), images),
            "exp/train_id.txt": id_list(np.sort(order[held_out:])),
            "exp/val_id.txt": id_list(np.sort(order[:held_out])),
            "exp/test_id.txt": id_list(test),
        },
    )


def permutation_file(rng: np.random.Generator, cameras: int, identities: int, images: int) -> bytes:
    """The content of rand_perm_cam.mat.

    Its (cameras, 1) cells hold (identities, 1) cells, at identity - 1, of (TRIALS, images) permutations
    of 1..images.
    """
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
    header = b"MATLAB 5.0 MAT-file, generated".ljust(116)  # SciPy's header holds the time of day
    return header + file.getvalue()[116:]
