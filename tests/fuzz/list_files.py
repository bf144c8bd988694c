"""Lists of datasets: damaged, and with lines that contradict each other."""

import random
import shutil
from functools import partial
from os.path import commonpath, normpath
from pathlib import Path

import numpy as np
from cases import Tally, attempt, damaged
from PIL import Image

from vireid.data.datasets import LLCM, SYSUMM01, RegDB

LINES = (
    "Visible/1/1.bmp 0", "Visible/1/1.bmp 1", "Thermal/1/1.bmp 0", "Thermal/2/1.bmp 5", "Visible/1/1.bmp",
    "../RegDB/Visible/2/1.bmp 1", "../../etc/passwd 0", "/etc/passwd 0", "Visible/1/1.bmp -1", " 0", "0", "",
    "Visible/1/1.bmp 1.5", "Visible/1/1.bmp " + "9" * 5000, "Visible/1/1.bmp 99999999999", "\x00 0",
    "Visible/1/1.bmp\t0", "Visible/1/ 0", "Visible/1 0", "Visible/1/1.bmp 0 0", "Visible/1/1.bmp ٣",
    "./Visible/1/1.bmp 0", "a" * 5000 + " 0",
)  # fmt: skip
NUMBERS = ("1", "2", "3", "0", "-1", "99", "1.5", "x", "1,1", "", "9" * 5000, "٣", "1 2", "0x1")


def fuzz(cases: int, seed: int, folder: Path) -> Tally:
    """Change a list and read the dataset."""
    tally, draw = Tally(), random.Random(seed)
    write_datasets(folder)
    lists = sorted(path for path in folder.rglob("*.txt"))
    for _ in range(cases):
        path = draw.choice(lists)
        content = path.read_bytes()
        how, changed = change(path, content, lists, draw)
        path.write_bytes(changed)
        attempt(tally, f"{path.relative_to(folder)}: {how}", partial(read, folder, path))
        path.write_bytes(content)
    shutil.rmtree(folder)
    return tally


def change(path: Path, content: bytes, lists: list[Path], draw: random.Random) -> tuple[str, bytes]:
    """Another content of a list, and how it was made."""
    lines = content.decode().splitlines()
    way = draw.choice(["damage", "line", "line", "repeat", "order", "other", "number"])
    if way == "damage":
        return damaged(content, draw)
    if way == "line":
        lines.insert(draw.randrange(len(lines) + 1), draw.choice(LINES))
    elif way == "repeat":
        lines.append(draw.choice(lines))
    elif way == "order":
        draw.shuffle(lines)
    elif way == "other":
        other = draw.choice(lists)
        return f"that of {other.name}", other.read_bytes()
    elif way == "number":
        words = lines[0].split(",")
        words.insert(draw.randrange(len(words) + 1), draw.choice(NUMBERS))
        lines[0] = ",".join(words)
    return way, "\n".join(lines).encode("utf-8", "surrogateescape")


def read(folder: Path, path: Path) -> None:
    """Read the dataset that a list belongs to, and check what was accepted."""
    kind = {"SYSU-MM01": SYSUMM01, "RegDB": RegDB, "LLCM": LLCM}[path.relative_to(folder).parts[0]]
    dataset = kind(str(folder))
    for items in (dataset.train, dataset.test):
        assert items, "an empty list was accepted"
        names: dict[str, int] = {}
        for item in items:
            place = normpath(item.path)
            assert Path(place).is_file(), f"{place} does not exist"
            assert commonpath([place, dataset.dataset_dir]) == dataset.dataset_dir, f"{place} is outside"
            assert names.setdefault(place, item.pid) == item.pid, f"{place} has two labels"
    paths = [item.path for item in dataset.test]
    assert len(set(map(normpath, paths))) == len(paths), "a test image counts twice"
    dataset.settings(trials=2)


def write_datasets(folder: Path) -> None:
    """Four identities of two images in each of the three layouts, two for training and two for testing."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 4, 3), dtype=np.uint8))

    def put(*parts: object) -> None:
        path = folder.joinpath(*map(str, parts))
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)

    def note(lines: list[str], *parts: str) -> None:
        path = folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")

    for pid in (1, 2, 3, 4):
        for camera in range(1, 7):
            for number in (1, 2):
                put("SYSU-MM01", f"cam{camera}", f"{pid:04d}", f"{number:04d}.jpg")
        for side in ("Visible", "Thermal"):
            for number in (1, 2):
                put("RegDB", side, pid, f"{number}.bmp")
    for name, pids in (("train", "1"), ("val", "2"), ("test", "3,4")):
        note([pids], "SYSU-MM01", "exp", f"{name}_id.txt")
    for subset, pids in (("train", (1, 2)), ("test", (3, 4))):
        for side in ("Visible", "Thermal"):
            lines = [f"{side}/{pid}/{n}.bmp {label}" for label, pid in enumerate(pids) for n in (1, 2)]
            note(lines, "RegDB", "idx", f"{subset}_{side.lower()}_1.txt")
    for side in ("vis", "nir"):
        lines = []
        for pid in (1, 2):
            relative = f"{side}/{pid:04d}/{pid:04d}_c01_s1_f1_{side}.jpg"
            put("LLCM", relative)
            lines.append(f"{relative} {pid - 1}")
        note(lines, "LLCM", "idx", f"train_{side}.txt")
        for camera in range(1, 10):
            (folder / "LLCM" / f"test_{side}" / f"cam{camera}").mkdir(parents=True, exist_ok=True)
            for pid in (3, 4):
                if (side, camera) != ("nir", 3):
                    put("LLCM", f"test_{side}", f"cam{camera}", f"{pid:04d}", f"{pid:04d}_c0{camera}.jpg")
    note(["3,4"], "LLCM", "idx", "test_id.txt")
