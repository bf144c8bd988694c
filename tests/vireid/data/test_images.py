"""The resize filter against Pillow's own."""

import numpy as np
import pytest
import torch
from PIL import Image

from vireid.data import build_test_loader, build_train_loader
from vireid.data.datasets import ImageItem
from vireid.errors import ConfigError
from vireid.images import resized
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
def test_training_and_test_images_are_resized_by_the_filter_of_the_config(image, name, cfg, tmp_path):
    image.save(tmp_path / "0001.png")
    cfg.INPUT.SIZE_TEST, cfg.INPUT.INTERPOLATION = [32, 16], name
    loader = build_test_loader(cfg, [ImageItem(str(tmp_path / "0001.png"), 1, 1, Modality.VISIBLE)])
    (batch,) = loader
    assert torch.equal(batch["images"][0], resized(image, (32, 16), name))


def test_an_unknown_filter_is_refused(cfg, tmp_path):
    cfg.INPUT.INTERPOLATION = "nearest"
    with pytest.raises(ConfigError, match="INTERPOLATION is 'nearest'; expected one of bilinear, bicubic"):
        build_test_loader(cfg, [])


def test_training_images_too(datasets):
    from configs import tiny_config

    cfg = tiny_config(INPUT__INTERPOLATION="lanczos", INPUT__VISIBLE_TRANSFORMS=())
    train_set = build_train_loader(cfg).dataset
    index = next(i for i, item in enumerate(train_set.items) if item.modality == Modality.VISIBLE)
    with Image.open(train_set.items[index].path) as image:
        expected = resized(image.convert("RGB"), cfg.INPUT.SIZE_TRAIN, "lanczos")
    assert torch.equal(train_set[index, 0]["images"], expected)
