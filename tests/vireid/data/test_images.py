"""Image files: which are read, and how they are resized, against Pillow."""

import errno
import os
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from vireid.data import build_test_loader, build_train_loader
from vireid.data.datasets import ImageItem
from vireid.data.file_check import file_fault
from vireid.data.image_scan import look_at
from vireid.errors import DatasetError, ImageError, MachineError
from vireid.images import read_image, resized
from vireid.inference.inputs import as_pillow
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


def png_of(color, depth):
    """The bytes of a PNG of 12 x 9 pixels with channels of ``depth`` bits, which Pillow does not write."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[color]
    row = b"\0" + bytes(range(12 * channels * depth // 8))
    header = (12).to_bytes(4, "big") + (9).to_bytes(4, "big") + bytes([depth, color, 0, 0, 0])

    def chunk(kind, content):
        check = zlib.crc32(kind + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + kind + content + check

    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(9 * row)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def faults_of(path):
    """What each of those says that look at a file: when it is read, before a training, by data check."""
    found = [file_fault(str(path)), look_at(str(path), decode=False).fault]
    try:
        read_image(path)
    except DatasetError as error:
        found.append(str(error))
    return [fault for fault in found if fault]


@pytest.mark.parametrize("color", [0, 2, 4, 6])
def test_a_png_of_sixteen_bits_a_channel_is_refused_whatever_its_channels(color, tmp_path):
    """Pillow cuts most of them to 8 bits: 1,000 levels of gray become 5."""
    path = tmp_path / "image.png"
    path.write_bytes(png_of(color, 16))
    faults = faults_of(path)
    assert len(faults) == 3 and all("not 8 bits a channel, but 16" in fault for fault in faults)
    path.write_bytes(png_of(color & 2, 8))
    assert faults_of(path) == []


def hole(image, mode="RGBA"):
    """An image of which one pixel is not opaque."""
    alpha = Image.new("L", image.size, 255)
    alpha.putpixel((3, 5), 254)
    transparent = image.convert("RGBA")
    transparent.putalpha(alpha)
    return transparent.convert(mode)


TRANSPARENT = {
    "color": lambda image, path: hole(image).save(path, "PNG"),
    "gray": lambda image, path: hole(image, "LA").save(path, "PNG"),
    "palette": lambda image, path: image.quantize(8).save(path, "PNG", transparency=0),
    "one color": lambda image, path: image.save(path, "PNG", transparency=image.getpixel((0, 0))),
    "one gray": lambda image, path: Image.new("L", image.size, 7).save(path, "PNG", transparency=7),
}


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_what_is_transparent_is_refused_as_its_hidden_colors_would_count(image, kind, tmp_path):
    path = tmp_path / "image"
    TRANSPARENT[kind](image, path)
    faults = faults_of(path)
    assert len(faults) == 3 and all("parts of it are transparent" in fault for fault in faults)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_opaque_alpha_channel_does_no_harm(image, mode, tmp_path):
    image.convert(mode).save(tmp_path / "image.png")
    assert faults_of(tmp_path / "image.png") == []
    expected = image.convert(mode[:-1]).convert("RGB")
    assert np.array_equal(np.asarray(read_image(tmp_path / "image.png")), np.asarray(expected))


@pytest.mark.parametrize("size", [(1, 1), (3, 80), (80, 3)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_an_image_that_shows_nothing_is_refused(size, kind, tmp_path):
    path = tmp_path / "image"
    Image.new("RGB", size, "red").save(path, kind)
    faults = faults_of(path)
    told = f"it has {size[0]} x {size[1]} pixels; expected 4 or more on each side"
    assert len(faults) == 3 and all(told in fault for fault in faults)
    with pytest.raises(ImageError, match="pixels; expected 4 or more"):
        as_pillow(np.zeros((*size, 3), np.uint8))
    with pytest.raises(ImageError, match="parts of it are transparent"):
        as_pillow(hole(Image.new("RGB", (9, 9))))
    with pytest.raises(ImageError, match="it has 50 x 0 pixels"):
        as_pillow(np.zeros((0, 50, 3), np.uint8))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
        OSError(errno.EIO, os.strerror(errno.EIO)),
        MemoryError(),
    ],
)
@pytest.mark.parametrize("read", [read_image, file_fault, lambda path: look_at(path, decode=True)])
def test_what_is_the_machine_s_fault_is_not_the_image_s(image, error, read, tmp_path, monkeypatch):
    """With INPUT.UNREADABLE "skip", the image would be left out for the whole run."""
    image.save(tmp_path / "image.png")

    def fail(*arguments, **keywords):
        raise error

    for module in ("images", "data.file_check", "data.image_scan"):
        monkeypatch.setattr(f"vireid.{module}.open_regular", fail)
    reason = error.strerror if isinstance(error, OSError) else "too little memory"
    with pytest.raises(MachineError, match=f"image.png cannot be read now: {reason}"):
        read(str(tmp_path / "image.png"))
