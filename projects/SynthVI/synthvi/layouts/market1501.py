"""Market-1501's folders: visible images alone, in bounding_box_train/, query/ and bounding_box_test/."""

import numpy as np

from synthvi.layouts.plan import Draw, Plan, Shot, draw_camera

CAMERAS = 6


def plan_market1501(train: np.ndarray, test: np.ndarray, images: int, seed: int, draw: Draw) -> Plan:
    """The plan of a dataset in Market-1501's layout, which has no lists.

    Args:
        train, test: (N,) and (M,) int identities.
        images: per identity and camera; the first one of a test identity is a query.
    """
    cameras = {
        f"c{place}": draw_camera(draw, f"c{place}", infrared=False, place=place, outdoor=True)
        for place in range(1, CAMERAS + 1)
    }
    trained = {int(pid) for pid in train}
    shots = []
    for pid in map(int, np.sort(np.concatenate([train, test]))):
        for camera in cameras:
            for number in range(1, images + 1):
                folder = "query" if number == 1 else "bounding_box_test"
                folder = "bounding_box_train" if pid in trained else folder
                path = f"{folder}/{pid:04d}_{camera}s1_{25 * number:06d}_{number:02d}.jpg"
                shots.append(Shot(path, pid, camera, number))
    return Plan(cameras, shots, {}, {"train": train, "test": test})
