"""The resize filter against Pillow's own."""

import numpy as np
import pytest
import torch
from PIL import Image

from vireid.data import build_test_loader, build_train_loader
from vireid.data.datasets import ImageItem
from vireid.errors import DatasetError
from vireid.images import read_image, resized
from vireid.modality import Modality

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@pytest.fixture
def image():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 40, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", FILTERS)
def test_each_filter_is_pillows(image, name):
    expected = np.asarray(image.resize((16, 32), FILTERS[name])).transpose(2, 0, 1)
    found = resized(image, (32, 16), name)
    assert found.dtype == torch.uint8 and np.array_equal(found.numpy(), expected)
    others = (resized(image, (32, 16), other) for other in FILTERS if other != name)
    assert not any(torch.equal(found, other) for other in others)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("size", [(32, 16), (90, 33), (60, 40), (1, 1)])
def test_an_image_without_color_is_resized_alike(image, name, size):
    gray = image.convert("L").convert("RGB")
    expected = np.asarray(gray.resize(size[::-1], FILTERS[name])).transpose(2, 0, 1)
    assert np.array_equal(resized(gray, size, name).numpy(), expected)


@pytest.mark.parametrize("channel", range(3))
def test_one_pixel_of_color_is_color(image, channel):
    gray = np.asarray(image.convert("L").convert("RGB")).copy()
    gray[59, 39, channel] ^= 1
    expected = np.asarray(Image.fromarray(gray)).transpose(2, 0, 1)
    assert np.array_equal(resized(Image.fromarray(gray), (60, 40), "bicubic").numpy(), expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_accepted_formats_are_read_whatever_the_name(image, kind, tmp_path):
    path = tmp_path / "image.jpg"
    image.save(path, kind)
    with Image.open(path) as plain:
        assert np.array_equal(np.asarray(read_image(path)), np.asarray(plain))


OTHERS = {
    "EPS": (lambda image, path: image.save(path, "EPS"), "it is PostScript"),
    "GIF": (lambda image, path: image.save(path, "GIF"), "it is GIF"),
    "TIFF": (lambda image, path: image.save(path, "TIFF"), "it is TIFF"),
    "PPM": (lambda image, path: image.save(path, "PPM"), "it is no image: it begins with b'P6"),
    "web page": (lambda image, path: path.write_text("<!DOCTYPE html>"), "it is a web page"),
    "LFS": (
        lambda image, path: path.write_text("version https://git-lfs.github.com/spec/v1"),
        "it is a Git LFS pointer, not the image itself",
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_another_format_is_refused_for_what_it_is(image, kind, tmp_path, monkeypatch):
    write, found = OTHERS[kind]
    write(image, tmp_path / "image.jpg")
    monkeypatch.setattr("subprocess.Popen", None)  # no interpreter is started
    with pytest.raises(DatasetError) as caught:
        read_image(tmp_path / "image.jpg")
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}/image.jpg: the image cannot be read ({found}")
    assert text.endswith("; accepted are JPEG, PNG, BMP); replace it") and "\n" not in text


@pytest.mark.parametrize("name", FILTERS)
def test_training_and_test_images_are_resized_by_the_filter_of_the_config(image, name, cfg, tmp_path):
    image.save(tmp_path / "0001.png")
    cfg.INPUT.SIZE_TEST, cfg.INPUT.INTERPOLATION = [32, 16], name
    loader = build_test_loader(cfg, [ImageItem(str(tmp_path / "0001.png"), 1, 1, Modality.VISIBLE)])
    (batch,) = loader
    assert torch.equal(batch["images"][0], resized(image, (32, 16), name))


def test_training_images_too(datasets):
    from configs import tiny_config

    cfg = tiny_config(INPUT__INTERPOLATION="lanczos", INPUT__VISIBLE_TRANSFORMS=())
    train_set = build_train_loader(cfg).dataset
    index = next(i for i, item in enumerate(train_set.items) if item.modality == Modality.VISIBLE)
    with Image.open(train_set.items[index].path) as image:
        expected = resized(image.convert("RGB"), cfg.INPUT.SIZE_TRAIN, "lanczos")
    assert torch.equal(train_set[index, 0]["images"], expected)
