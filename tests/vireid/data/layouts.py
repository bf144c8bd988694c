"""Tiny datasets of random images, in the four layouts."""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

SIZE = (20, 10)  # height, width of the images


def write_image(path: Path, rng: np.random.Generator, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, size=(*size, 3), dtype=np.uint8)).save(path)


def write_list(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def write_sysu(
    root: Path,
    train: tuple[int, ...] = (1, 2, 5),
    val: tuple[int, ...] = (7,),
    test: tuple[int, ...] = (3, 4),
    images: int = 2,
    permutations: bool = True,
    size: tuple[int, int] = SIZE,
) -> Path:
    """cam1..cam6/<id>/<n>.jpg; the permutations of camera c and identity i are rolled by c + i + trial."""
    rng = np.random.default_rng(0)
    folder = root / "SYSU-MM01"
    for camera in range(1, 7):
        for pid in (*train, *val, *test):
            for number in range(1, images + 1):
                write_image(folder / f"cam{camera}" / f"{pid:04d}" / f"{number:04d}.jpg", rng, size)
    for name, pids in (("train", train), ("val", val), ("test", test)):
        write_list(folder / "exp" / f"{name}_id.txt", [",".join(map(str, pids))])
    if permutations:
        write_permutations(folder / "exp" / "rand_perm_cam.mat", max(*train, *val, *test), images)
    return folder


def write_permutations(path: Path, pids: int, images: int) -> None:
    cells = np.empty((6, 1), dtype=object)
    for camera in range(1, 7):
        cells[camera - 1, 0] = np.empty((pids, 1), dtype=object)
        for pid in range(1, pids + 1):
            rows = [np.roll(np.arange(1, images + 1), camera + pid + trial) for trial in range(10)]
            cells[camera - 1, 0][pid - 1, 0] = np.array(rows)
    savemat(path, {"rand_perm_cam": cells})


def write_regdb(root: Path, pids: int = 4, images: int = 3, splits: tuple[int, ...] = (1, 2)) -> Path:
    """Identities 1..pids; split s trains on every other one from s, with labels from 0."""
    rng = np.random.default_rng(0)
    folder = root / "RegDB"
    for side in ("Visible", "Thermal"):
        for pid in range(1, pids + 1):
            for number in range(1, images + 1):
                write_image(folder / side / str(pid) / f"{pid}_{number}.bmp", rng)
    for split in splits:
        halves = {"train": range(1 + split % 2, pids + 1, 2), "test": range(2 - split % 2, pids + 1, 2)}
        for subset, members in halves.items():
            for side in ("visible", "thermal"):
                lines = [
                    f"{side.capitalize()}/{pid}/{pid}_{number}.bmp {label}"
                    for label, pid in enumerate(members)
                    for number in range(1, images + 1)
                ]
                write_list(folder / "idx" / f"{subset}_{side}_{split}.txt", lines)
    return folder


def write_llcm(root: Path, train: int = 3, test: tuple[int, ...] = (8, 9), images: int = 2) -> Path:
    """Training identities 0..train - 1 in cameras 1 and 3; test identities in every camera."""
    rng = np.random.default_rng(0)
    folder = root / "LLCM"
    for side in ("vis", "nir"):
        lines = []
        for pid in range(train):
            for camera in (1, 3):
                for number in range(images):
                    relative = f"{side}/{pid:04d}/{pid:04d}_c{camera:02d}_s{number}_f{pid}_{side}.jpg"
                    write_image(folder / relative, rng)
                    lines.append(f"{relative} {pid}")
        write_list(folder / "idx" / f"train_{side}.txt", lines)
        for camera in range(1, 10):
            if (side, camera) == ("nir", 3):
                continue
            for pid in test:
                for number in range(images):
                    name = f"{pid:04d}_c{camera:02d}_s{number}_f{pid}_{side}.jpg"
                    write_image(folder / f"test_{side}" / f"cam{camera}" / f"{pid:04d}" / name, rng)
    write_list(folder / "idx" / "test_id.txt", [",".join(map(str, test))])
    return folder


# Tracks of a tiny HITSZ-VCM: modality (1 infrared, 2 visible), frames, identity, camera.
TRAIN_TRACKS = [(2, 12, 1, 1), (1, 13, 1, 2), (2, 11, 1, 3), (2, 12, 4, 1), (1, 12, 4, 1)]
TEST_TRACKS = [(1, 12, 2, 1), (2, 14, 2, 1), (2, 12, 2, 3), (1, 12, 3, 1), (2, 12, 3, 2), (2, 5, 3, 3)]


def write_vcm(root: Path, images: str = "Train Test") -> Path:
    """Empty files, in folders of their own for both subsets or, with ``images`` "", without them."""
    folder = root / "HITSZ-VCM"
    for subset, tracks in (("train", TRAIN_TRACKS), ("test", TEST_TRACKS)):
        names, lines = [], []
        for number, (side, frames, pid, camera) in enumerate(tracks, start=1):
            lines.append(f"{side} {len(names) + 1} {len(names) + frames} {pid:04d} {camera}")
            within = folder / subset.capitalize() if images else folder
            place = within / f"{pid:04d}" / ("ir" if side == 1 else "rgb") / f"D{camera}"
            place.mkdir(parents=True)
            for frame in range(1, frames + 1):
                (place / f"{frame}.jpg").touch()
                names.append(f"{pid:04d}M{side}D{camera}T{number}F{frame}.jpg")
        write_list(folder / "info" / f"{subset}_name.txt", names)
        write_list(folder / "info" / f"track_{subset}_info.txt", lines)
    write_list(folder / "info" / "query_IDX.txt", ["1 4"])
    return folder
