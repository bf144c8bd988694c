"""LLCM's folders and lists: vis/, nir/, test_vis/, test_nir/ and idx/."""

import numpy as np

from synthvi.layouts.plan import Draw, Plan, Shot, draw_camera, id_list

OUTDOOR_FROM = 5  # places 1 to 4 are indoors


def plan_llcm(train: np.ndarray, test: np.ndarray, images: int, seed: int, draw: Draw) -> Plan:
    """The plan of a dataset in LLCM's layout: nine visible cameras, and eight infrared ones beside them.

    Args:
        train: (N,) int identities for training.
        test: (M,) int identities for testing.
        images: per identity and camera.
    """
    cameras = {}
    for modality in ("vis", "nir"):
        for place in range(1, 10):
            if (modality, place) != ("nir", 3):  # the real data has no infrared camera 3
                name = f"{modality}/cam{place}"
                cameras[name] = draw_camera(draw, name, modality == "nir", place, place >= OUTDOOR_FROM)
    shots = []
    lists: dict[str, list[str]] = {"idx/train_vis.txt": [], "idx/train_nir.txt": []}
    labels = {int(pid): label for label, pid in enumerate(train)}
    clock = draw("clock")
    for pid in map(int, np.sort(np.concatenate([train, test]))):
        for camera in cameras:
            modality, folder = camera.split("/")
            time = f"{clock.integers(18, 22)}{clock.integers(60):02d}{clock.integers(60):02d}"
            frame, step = int(clock.integers(1, 4000)), int(clock.integers(5, 20))
            for number in range(1, images + 1):
                name = f"{pid:04d}_c0{folder[-1]}_s{time}_f{frame + step * (number - 1)}_{modality}.jpg"
                if pid in labels:
                    path = f"{modality}/{pid:04d}/{name}"
                    lists[f"idx/train_{modality}.txt"].append(f"{path} {labels[pid]}\n")
                else:
                    path = f"test_{modality}/{folder}/{pid:04d}/{name}"
                shots.append(Shot(path, pid, camera, number))
    files = {path: "".join(lines).encode() for path, lines in lists.items()}
    files["idx/test_id.txt"] = id_list(test)
    return Plan(cameras, shots, files, {"train": train, "test": test})
