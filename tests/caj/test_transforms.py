"""CAJ's augmentation of infrared images, beside what the published code does after the normalization."""

import random
from collections import Counter

import pytest
import torch

from caj.transforms import ChannelAdaptGray
from configs import tiny_config
from vireid.data.transforms import build_views
from vireid.modality import Modality

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.fixture
def transform():
    return ChannelAdaptGray.from_config(
        tiny_config("CAJ/configs/sysu.yml", INPUT__CHANNEL_ADAPT_GRAY__PROB=1.0)
    )


def normalized(image):
    return (image / 255 - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)


def infrared_image():
    gray = torch.arange(40, 216).to(torch.uint8).view(1, 16, 11)  # nothing saturates
    return gray.repeat(3, 1, 1)


def test_after_the_normalization_the_channels_are_one_of_them_or_their_gray(transform):
    image = infrared_image()
    before = normalized(image)
    gray = 0.2989 * before[0] + 0.5870 * before[1] + 0.1140 * before[2]
    wanted = torch.stack([*before, gray])
    random.seed(0)
    found = Counter()
    for _ in range(40):
        after = normalized(transform(image))
        distances = (after - wanted[:, None]).abs().amax(dim=(1, 2, 3))
        assert distances.min() < 0.5 / 255 / STD.min() + 1e-5  # rounding to pixels
        found[int(distances.argmin())] += 1
    assert set(found) == {0, 1, 2, 3}
    assert torch.equal(image, infrared_image())


def test_each_case_has_its_probability():
    transform = ChannelAdaptGray(0.5, [0.0] * 3, [1.0] * 3)
    image = torch.tensor([10, 20, 40], dtype=torch.uint8).view(3, 1, 1)
    random.seed(0)
    found = Counter(tuple(transform(image).flatten().tolist()) for _ in range(4000))
    shares = {key: count / 4000 for key, count in found.items()}
    gray = round(0.2989 * 10 + 0.5870 * 20 + 0.1140 * 40)
    expected = {(10, 20, 40): 1 / 8, (gray,) * 3: 1 / 8, **{(value,) * 3: 1 / 4 for value in (10, 20, 40)}}
    assert shares == pytest.approx(expected, abs=0.03)


def test_values_stay_within_those_of_pixels(transform):
    random.seed(1)
    for level in (0, 255):
        image = torch.full((3, 4, 2), level, dtype=torch.uint8)
        changed = torch.stack([transform(image) for _ in range(20)]).float()
        assert changed.sub(level).abs().max() < 25


def test_the_recipe_has_two_views_of_visible_images_and_one_of_infrared_ones():
    cfg = tiny_config("CAJ/configs/sysu.yml")
    names = [
        [[type(transform).__name__ for transform in view] for view in build_views(cfg, modality)]
        for modality in (Modality.VISIBLE, Modality.INFRARED)
    ]
    plain = ["PadCrop", "Flip", "RandomErasing"]
    assert names == [[plain, [*plain, "ChannelExchange"]], [[*plain, "ChannelAdaptGray"]]]
    assert build_views(cfg, Modality.VISIBLE)[1][-1].prob == 1.0
