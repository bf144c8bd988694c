import colorsys
import random
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from mcja.vimc import VIMC, ChannelCutMix, HueJitter, SpectrumJitter, WeightedGrayscale, tensor_to_image
from vireid.config.rules import check_values
from vireid.data.transforms import build_transforms
from vireid.errors import ConfigError
from vireid.images import image_to_tensor

# Difference, in levels of 255, of Pillow's 8-bit hue from the exact turn: at most, and on average.
HUE_TOLERANCE = (16, 1.5)
ALL = [HueJitter, WeightedGrayscale, ChannelCutMix, SpectrumJitter]


@pytest.fixture
def image():
    """Smooth and saturated, with noise."""
    y, x = torch.meshgrid(torch.linspace(0, 6, 48), torch.linspace(0, 6, 24), indexing="ij")
    waves = torch.stack([torch.sin(x + y), torch.cos(2 * x), torch.sin(3 * y)])
    noise = torch.rand(3, 48, 24, generator=torch.Generator().manual_seed(0))
    return (127 + 100 * waves + 20 * noise).to(torch.uint8)


@pytest.mark.parametrize("kind", [*ALL, VIMC])
def test_a_pil_image_gives_exactly_what_a_tensor_gives(image, kind):
    transform = kind() if kind is VIMC else kind(1.0)
    before = image.clone()
    for seed in range(20):
        random.seed(seed)
        tensor = transform(image)
        random.seed(seed)
        pillow = transform(tensor_to_image(image))
        assert isinstance(pillow, Image.Image) and tensor.dtype == torch.uint8
        assert torch.equal(image_to_tensor(pillow), tensor)
    assert torch.equal(image, before)


@pytest.mark.parametrize("kind", ALL)
def test_probability_zero_gives_the_image_and_one_half_gives_half(image, kind):
    assert kind(0.0)(image) is image
    random.seed(0)
    changed = sum(kind(0.5)(image) is not image for _ in range(200))
    assert 75 <= changed <= 125


def test_hue_turns_as_exact_arithmetic_does(image, monkeypatch):
    differences = []
    for share in (-0.2, -0.07, 0.1, 0.2):
        monkeypatch.setattr(random, "uniform", lambda low, high, share=share: share)
        ours = HueJitter(1.0)(image).numpy().astype(int)
        for y in range(0, 48, 5):
            for x in range(0, 24, 5):
                hue, saturation, value = colorsys.rgb_to_hsv(*(image[:, y, x] / 255).tolist())
                exact = colorsys.hsv_to_rgb((hue + share) % 1, saturation, value)
                differences.append(np.abs(ours[:, y, x] - 255 * np.array(exact)))
    assert np.max(differences) <= HUE_TOLERANCE[0] and np.mean(differences) <= HUE_TOLERANCE[1]


def test_weighted_grayscale_is_a_truncated_sum(image, monkeypatch):
    draws = [0.2, 0.5, 0.1]
    monkeypatch.setattr(random, "random", iter([0.0, *draws]).__next__)
    ours = WeightedGrayscale(1.0)(image)
    assert torch.equal(ours[0], ours[1]) and torch.equal(ours[0], ours[2])
    for y in range(0, 48, 3):
        for x in range(24):
            exact = sum(w / sum(draws) * int(c) for w, c in zip(draws, image[:, y, x]))
            # The weights have 16 bits.
            assert int(exact - 0.01) <= int(ours[0, y, x]) <= int(exact + 0.01)


@pytest.mark.parametrize("kind", [WeightedGrayscale, ChannelCutMix, SpectrumJitter])
def test_a_gray_image_stays_the_same(kind):
    gray = torch.arange(256, dtype=torch.uint8).view(1, 16, 16).repeat(3, 1, 1)
    for seed in range(20):
        random.seed(seed)
        assert torch.equal(kind(1.0)(gray), gray)


def planes(height, width, values=(10, 20, 30)):
    """An image whose channels are constant."""
    return torch.tensor(values, dtype=torch.uint8)[:, None, None].repeat(1, height, width)


def drawn_boxes(transform, height, width, count=600):
    """Foreground masks (count, H, W) of the boxes that are not empty, and the pairs of channels."""
    random.seed(0)
    masks, pairs = [], Counter()
    for _ in range(count):
        mixed = transform(planes(height, width))
        assert torch.equal(mixed[0], mixed[1]) and torch.equal(mixed[0], mixed[2])
        found, sizes = mixed[0].unique(return_counts=True)
        if len(found) == 2:
            background = found[sizes.argmax()]
            masks.append(mixed[0] != background)
            pairs[int(background), int(found[sizes.argmin()])] += 1
    return torch.stack(masks), pairs


def test_cutmix_fills_a_box_of_the_right_size_and_shape_everywhere():
    masks, pairs = drawn_boxes(ChannelCutMix(1.0), 96, 48)
    assert len(masks) == 600 and len(pairs) == 6 and min(pairs.values()) > 60
    areas = masks.float().mean(dim=(1, 2))
    assert areas.min() >= 0.018 and areas.max() <= 0.34 and areas.mean() == pytest.approx(0.15, abs=0.02)
    for mask in masks[:50]:
        rows, columns = mask.any(dim=1).sum(), mask.any(dim=0).sum()
        assert mask.sum() == rows * columns  # one full box
        assert 0.25 < rows / columns < 4
    assert masks.any(dim=2).any(dim=0).all() and masks.any(dim=1).any(dim=0).all()


def test_the_published_box_loses_half_its_area_and_the_lower_half():
    ours = drawn_boxes(ChannelCutMix(1.0), 96, 48)[0]
    published = drawn_boxes(ChannelCutMix(1.0, published_box=True), 96, 48)[0]
    assert not published[:, 48:].any()
    lost = 1 - published.float().sum() / 600 / (ours.float().sum() / len(ours))
    assert 0.4 <= lost <= 0.6


def test_spectrum_jitter_blends_with_one_channel(image, monkeypatch):
    for share in (0.0, 0.25, 0.7, 1.0):
        monkeypatch.setattr(random, "uniform", lambda low, high, share=share: share)
        ours = SpectrumJitter(1.0)(image).int()
        blends = [
            torch.tensor(
                [
                    [int(share * int(p) + (1 - share) * int(q) + 1e-4) for p, q in zip(plane, image[c, 7])]
                    for plane in image[:, 7]
                ]
            )
            for c in range(3)
        ]
        assert any(torch.equal(ours[:, 7], blend) for blend in blends)
    assert torch.equal(ours, image.int())  # share 1 is the image
    monkeypatch.setattr(random, "uniform", lambda low, high: 0.0)
    channel = SpectrumJitter(1.0)(image)
    assert any(torch.equal(channel, image[c].repeat(3, 1, 1)) for c in range(3))


def test_vimc_chooses_each_of_the_four_as_often():
    class Named:
        def __init__(self, name):
            self.name = name

        def __call__(self, image):
            return self.name

    random.seed(0)
    vimc = VIMC([Named(i) for i in range(4)])
    counts = Counter(vimc(None) for _ in range(800))
    assert set(counts) == {0, 1, 2, 3} and min(counts.values()) > 160


def test_the_config_names_them_together_or_alone(config):
    cfg = config(INPUT__CHANNEL_CUTMIX__PUBLISHED_BOX=True, INPUT__HUE_JITTER__PROB=0.3)
    vimc = build_transforms(cfg, "VISIBLE_TRANSFORMS")[0]
    assert [type(choice) for choice in vimc.choices] == ALL
    assert vimc.choices[0].prob == 0.3 and vimc.choices[2].published_box
    cfg.INPUT.VISIBLE_TRANSFORMS = [kind.__name__ for kind in ALL]
    assert [type(transform) for transform in build_transforms(cfg, "VISIBLE_TRANSFORMS")] == ALL


@pytest.mark.parametrize(
    "key, value",
    [
        ("HUE_JITTER__HUE", 0.7),
        ("HUE_JITTER__PROB", -0.1),
        ("CHANNEL_CUTMIX__SCALE", (0.5, 0.2)),
        ("CHANNEL_CUTMIX__RATIO", (0.0, 2.0)),
        ("SPECTRUM_JITTER__FACTOR", (0.2, 1.5)),
        ("WEIGHTED_GRAYSCALE__PROB", 2.0),
    ],
)
def test_settings_out_of_range_are_refused(config, key, value):
    cfg = config(**{f"INPUT__{key}": value})
    with pytest.raises(ConfigError, match=rf"INPUT\.{key.replace('__', '.')} is "):
        check_values(cfg)
