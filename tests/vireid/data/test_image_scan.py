"""What is seen of image files."""

import numpy as np
import pytest
from PIL import Image

from vireid import Modality
from vireid.data.datasets import SYSUMM01, ImageItem
from vireid.data.image_scan import Use, color_faults, copy_faults, look_at, sampled_color_faults, scan, sizes
from vireid.images import colorfulness

VISIBLE, INFRARED = Modality.VISIBLE, Modality.INFRARED


def write(path, color, size=(4, 8)):
    Image.new("RGB", size, color).save(path)
    return str(path)


def use(path, pid=0, modality=VISIBLE, subset="train", part="", identity=None):
    return Use(part, subset, ImageItem(path, pid, 1, modality), identity)


def copies(folder, *kinds):
    """The faults of images that are copies of each other, each used as its keywords say."""
    uses = {}
    for number, kind in enumerate(kinds):
        path = write(folder / f"{number}.bmp", "red")
        uses[path] = [use(path, **kind)]
    return [fault.replace(f"{folder}/", "") for fault in copy_faults(uses, scan(uses, 0, False))]


def test_copies_that_do_harm(tmp_path):
    same = "0.bmp and 1.bmp are the same image, "
    assert copies(tmp_path, {}, {}) == []
    assert copies(tmp_path, {}, {"pid": 1}) == [f"{same}of identities 0 and 1"]
    assert copies(tmp_path, {"identity": "a"}, {"pid": 1, "identity": "a"}) == []
    assert copies(tmp_path, {"identity": "a"}, {"identity": "b"}) == [f"{same}of identities a and b"]
    assert copies(tmp_path, {}, {"subset": "test"}) == [f"{same}the one in training, the other in test"]
    assert copies(tmp_path, {"part": "split 2"}, {"part": "split 2", "subset": "test"}) == [
        f"{same}the one in training (split 2), the other in test (split 2)"
    ]
    assert copies(tmp_path, {"part": "split 1"}, {"part": "split 2", "subset": "test"}) == []
    assert copies(tmp_path, {}, {"modality": INFRARED}) == [f"{same}the one visible, the other infrared"]
    assert copies(tmp_path, {}, {}, {"pid": 3}) == [
        "0.bmp and 2.bmp are the same image, of identities 0 and 3"
    ]


def test_the_sample_is_spread_over_each_camera(tmp_path):
    paths = [write(tmp_path / f"{number}.bmp", "red") for number in range(9)]
    uses = {path: [use(path, modality=VISIBLE if n < 5 else INFRARED)] for n, path in enumerate(paths)}
    looks = scan(uses, 2, False)
    assert [n for n, path in enumerate(paths) if looks[path].color is not None] == [0, 4, 5, 8]
    assert all(look.color is not None for look in scan(uses, None, False).values())


def test_a_gray_image_among_colored_ones_is_no_fault(tmp_path):
    colors = ["gray", "red", "blue"]
    paths = [write(tmp_path / f"{color}.bmp", color) for color in colors]
    visible = {path: [use(path)] for path in paths}
    assert color_faults(visible, scan(visible, None, False)) == []
    infrared = {path: [use(path, modality=INFRARED)] for path in paths}
    assert len(color_faults(infrared, scan(infrared, None, False))) == 1
    infrared = {path: [use(path, modality=INFRARED)] for path in paths[:2]}
    assert color_faults(infrared, scan(infrared, None, False)) == [
        f"{paths[1]}: an infrared image with color; is it a visible one?"
    ]


def test_color_is_measured_as_by_a_plain_loop():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    expected = sum(max(map(int, pixel)) - min(map(int, pixel)) for row in pixels for pixel in row) / 20
    assert colorfulness(pixels) == pytest.approx(expected)


def test_a_truncated_image_is_found_where_it_is_decoded(tmp_path):
    path = tmp_path / "image.bmp"
    write(path, "red", (40, 80))
    path.write_bytes(path.read_bytes()[:-200])
    assert look_at(str(path), decode=False).fault == ""
    assert look_at(str(path), decode=True).fault.startswith(
        f"{path}: the image cannot be read (image file is"
    )


def test_sizes_are_height_by_width(tmp_path):
    looks = [look_at(write(tmp_path / "a.bmp", "red", size), False) for size in ((4, 8), (6, 5))]
    assert sizes(looks[:1]) == "8x4"
    assert sizes(looks) == "from 5x4 to 8x6"
    assert sizes([look_at(str(tmp_path / "none.bmp"), False)]) == "unknown"


def test_images_of_the_other_modality_are_found_by_a_few_of_each_camera(generated_root):
    dataset = SYSUMM01(str(generated_root))
    assert sampled_color_faults(dataset.train, 4) == []
    exchanged = [item._replace(modality=Modality(1 - item.modality)) for item in dataset.train]
    faults = sampled_color_faults(exchanged, 4)
    assert len(faults) == 6
    assert all(
        fault.startswith(("visible images of camera ", "infrared images of camera ")) for fault in faults
    )
    assert sum("that were looked at have no color, such as " in fault for fault in faults) == 2
