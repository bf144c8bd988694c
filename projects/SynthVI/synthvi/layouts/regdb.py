"""RegDB's folders and lists: Visible/<id>/*.bmp, Thermal/<id>/*.bmp and idx/."""

import numpy as np

from synthvi.layouts.plan import Draw, Plan, Shot, draw_camera
from synthvi.persons.person import person_of

SPLITS = 10


def plan_regdb(train: np.ndarray, test: np.ndarray, images: int, seed: int, draw: Draw) -> Plan:
    """The plan of a dataset in RegDB's layout, with ten random splits.

    Args:
        train, test: (N,) and (M,) int identities; each split draws M of all for testing.
        images: per identity and modality.
    """
    cameras = {
        "Visible": draw_camera(draw, "Visible", infrared=False, place=1, outdoor=True),
        "Thermal": draw_camera(draw, "Thermal", infrared=True, place=1, outdoor=True),
    }
    pids = np.sort(np.concatenate([train, test]))
    paths: dict[tuple[str, int], list[str]] = {}
    shots = []
    serial = 0
    for pid in map(int, pids):
        person = person_of(seed, pid)
        for camera in cameras:
            paths[camera, pid] = []
            for number in range(1, images + 1):
                serial += 1
                # as in the real data, the identity has no leading zeros
                name = f"{person.gender}_{person.facing}_{camera[0].lower()}_{serial:05d}_{pid}.bmp"
                paths[camera, pid].append(f"{camera}/{pid}/{name}")
                shots.append(Shot(paths[camera, pid][-1], pid, camera, number))
    lists = {}
    for split in range(1, SPLITS + 1):
        order = draw(f"trial {split}").permutation(pids)
        for part, chosen in (("train", order[len(test) :]), ("test", order[: len(test)])):
            for camera in cameras:
                lines = [
                    f"{path} {label}\n"
                    for label, pid in enumerate(chosen)
                    for path in paths[camera, int(pid)]
                ]
                lists[f"idx/{part}_{camera.lower()}_{split}.txt"] = "".join(lines).encode()
    return Plan(cameras, shots, lists, {"all": pids}, fixed_facing=True)
