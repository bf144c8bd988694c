"""docs/from_video.md, run as it is written: a small video, a tracker that stands in, an untrained network."""

import re
import shlex
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from fastreid.modeling import build_model
from PIL import Image

from configs import TINY, tiny_config

PAGE = (Path(__file__).parents[1] / "docs" / "from_video.md").read_text(encoding="utf-8")
STEPS = PAGE.partition("## What several images are worth")[0]  # what follows is a measurement
BLOCKS = re.findall(r"```(python|bash)\n(.*?)```", STEPS, re.DOTALL)
SHORT = {key: value for key, value in TINY.items() if key not in ("MODEL.HEADS.NUM_CLASSES", "LOGGERS")}
FRAMES = 8
BOXES = {1: (4, 4, 16, 36), 2: (30, 8, 44, 40)}  # left, top, right, bottom


def write_video(path, gray):
    av = pytest.importorskip("av")
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 48, "yuv420p"
        for _ in range(FRAMES):
            pixels = rng.integers(0, 256, (48, 48, 1 if gray else 3), dtype=np.uint8)
            picture = Image.fromarray(np.broadcast_to(pixels, (48, 48, 3)).copy())
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())


class Tracker:
    """What the page uses of Ultralytics: nobody is followed in the first frame."""

    def __init__(self, weights):
        assert weights.endswith(".pt")

    def track(self, source, *, stream, classes):
        assert Path(source).is_file() and stream and classes == [0]
        boxes = torch.tensor([*BOXES.values()], dtype=torch.float32)
        yield types.SimpleNamespace(boxes=types.SimpleNamespace(id=None, xyxy=torch.zeros(0, 4)))
        for _ in range(FRAMES - 1):
            yield types.SimpleNamespace(boxes=types.SimpleNamespace(id=torch.tensor([1.0, 2.0]), xyxy=boxes))


def words_of(line):
    words = shlex.split(line.replace("\\\n", " "), comments=True)
    short = [text for key, value in SHORT.items() for text in (key, str(value))]
    place = next((n for n, word in enumerate(words) if re.fullmatch(r"[A-Z]+(\.[A-Z_]+)+", word)), None)
    return words[1:] if place is None else [*words[1:place], *short, *words[place:]]


def test_the_page_runs_from_a_video_to_figures(command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ultralytics", types.SimpleNamespace(YOLO=Tracker))
    write_video(tmp_path / "gate.mp4", gray=False)
    torch.save({"model": build_model(tiny_config("PMCM/configs/demo.yml")).state_dict()}, "model_final.pth")
    tracker, joining = (code for language, code in BLOCKS if language == "python")
    exec(tracker, {})
    assert len(Path("gate.txt").read_text().splitlines()) == 2 * (FRAMES - 1)
    lines = [line for language, code in BLOCKS if language == "bash" for line in re.split(r"(?<!\\)\n", code)]
    crops, index, query, evaluate = (words_of(line) for line in lines if line.startswith("vireid"))
    status, printed, error = command(*crops)
    assert (status, error) == (0, "") and f"{2 * (FRAMES - 1)} visible crops of 2 tracks" in printed
    assert command(*index)[0] == 0
    _, *found = command(*query)[1].splitlines()  # the other track, once
    assert len(found) == 1 and " gate_t0002 " in found[0]
    write_video(tmp_path / "gate.mp4", gray=True)
    night = [word.replace("crops/gate", "crops/night") for word in crops]
    assert "infrared crops of 2 tracks" in command(*night, "--camera", "night")[1]
    for file in Path("crops").glob("*/crops.csv"):
        file.write_text(re.sub(r"(_t000(\d)/\d+\.jpg),,", r"\1,\2,", file.read_text()))
    exec(joining, {})
    status, printed, error = command(*evaluate, "OUTPUT_DIR", "logs")
    assert status == 0, error
    results = Path("logs/eval/results.json").read_text()
    assert '"infrared-to-visible"' in results and '"visible-to-infrared"' in results
