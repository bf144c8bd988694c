"""HITSZ-VCM's folders and lists: Train/ and Test/<id>/{ir,rgb}/D<camera>/, and info/."""

import numpy as np

from synthvi.layouts.plan import Draw, Plan, Shot, draw_camera
from vireid.errors import UserError

CAMERAS = range(1, 5)  # the real data has twelve
SIDES = {"ir": 1, "rgb": 2}
SHORTEST = 12  # frames: the protocol leaves out shorter tracks
STEP = 5  # every fifth frame is kept, as in the real data


def plan_hitsz_vcm(train: np.ndarray, test: np.ndarray, images: int, seed: int, draw: Draw) -> Plan:
    """The plan of a dataset in HITSZ-VCM's layout: a track of each identity by each of four cameras, by
    day and by night.

    Args:
        train, test: (N,) and (M,) int identities.
        images: of each track.

    Raises:
        UserError: tracks too short for the protocol.
    """
    if images < SHORTEST:
        raise UserError(
            f"images is {images}; layout vcm needs {SHORTEST} or more: shorter tracks are not read"
        )
    cameras = {
        f"{side}/D{camera}": draw_camera(draw, f"{side}/D{camera}", side == "ir", camera, camera > 2)
        for camera in CAMERAS
        for side in SIDES
    }
    shots, lists = [], {}
    for subset, pids in (("train", train), ("test", test)):
        names: list[str] = []
        tracks: list[str] = []
        queries: list[int] = []
        for pid in map(int, pids):
            for camera in cameras:
                side, folder = camera.split("/")
                first = len(names) + 1
                for number in range(1, images + 1):
                    image = f"{1 + STEP * (number - 1)}.jpg"
                    path = f"{subset.capitalize()}/{pid:04d}/{side}/{folder}/{image}"
                    shots.append(Shot(path, pid, camera, number))
                    names.append(f"{pid:04d}M{SIDES[side]}{folder}T1F{image}\n")
                tracks.append(f"{SIDES[side]} {first} {len(names)} {pid} {folder[1:]}\n")
                if side == "ir":
                    queries.append(len(tracks))
        lists[f"info/{subset}_name.txt"] = "".join(names).encode()
        lists[f"info/track_{subset}_info.txt"] = "".join(tracks).encode()
        if subset == "test":
            lists["info/query_IDX.txt"] = (" ".join(map(str, queries)) + "\n").encode()
    return Plan(cameras, shots, lists, {"train": train, "test": test})
