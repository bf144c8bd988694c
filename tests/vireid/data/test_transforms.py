import colorsys
import random

import numpy as np
import pytest
import torch
from PIL import Image

from vireid.config.rules import check_values
from vireid.data import TRANSFORM_REGISTRY, check_transforms
from vireid.data.transforms import build_transforms
from vireid.data.transforms.color import ChannelExchange, ColorJitter, RandomGrayscale
from vireid.data.transforms.geometry import Flip, PadCrop, RandomErasing
from vireid.data.transforms.pixels import blended, weighted_gray
from vireid.errors import ConfigError
from vireid.images import image_to_tensor

HEIGHT, WIDTH = 24, 12
NAMES = ["ChannelExchange", "ColorJitter", "Flip", "PadCrop", "RandomErasing", "RandomGrayscale"]


@pytest.fixture
def image():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (3, HEIGHT, WIDTH), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_every_transform_keeps_form_and_input_and_follows_the_seed(name, image, cfg):
    transform = TRANSFORM_REGISTRY[name].from_config(cfg)
    before = image.clone()

    def draw(seed):
        random.seed(seed)
        torch.manual_seed(seed)
        return transform(image)

    outputs = [draw(seed) for seed in range(20)]
    assert all(out.shape == image.shape and out.dtype == torch.uint8 for out in outputs)
    assert torch.equal(image, before)
    assert all(torch.equal(out, draw(seed)) for seed, out in enumerate(outputs))
    assert not all(torch.equal(out, outputs[0]) for out in outputs)


@pytest.mark.parametrize("cls", [Flip, RandomErasing, ColorJitter, RandomGrayscale, ChannelExchange])
def test_probability_zero_leaves_the_image(cls, image):
    assert all(torch.equal(cls(prob=0.0)(image), image) for _ in range(20))


@pytest.mark.parametrize("cls", [Flip, RandomErasing, RandomGrayscale, ChannelExchange])
def test_probability_is_a_share_of_the_images(cls, image):
    random.seed(0)
    transform = cls(prob=0.3)
    changed = sum(not torch.equal(transform(image), image) for _ in range(1000))
    assert 240 < changed < 360  # 300 +- 4 standard deviations


def test_flip_mirrors_columns(image):
    expected = torch.empty_like(image)
    for column in range(WIDTH):
        expected[:, :, column] = image[:, :, WIDTH - 1 - column]
    assert torch.equal(Flip(prob=1.0)(image), expected)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("size", [0, 5])
def test_pad_crop_is_a_window_of_the_padded_image(mode, size, image):
    keywords = {"constant_values": 127} if mode == "constant" else {}
    padded = np.pad(image.numpy(), ((0, 0), (size, size), (size, size)), mode=mode, **keywords)
    windows = {
        padded[:, top : top + HEIGHT, left : left + WIDTH].tobytes()
        for top in range(2 * size + 1)
        for left in range(2 * size + 1)
    }
    random.seed(0)
    transform = PadCrop(size, mode, 127)
    drawn = {transform(image).numpy().tobytes() for _ in range(1500)}
    assert drawn == windows  # each of them comes up


def test_pad_crop_may_leave_nothing_of_the_image(image):
    random.seed(0)
    transform = PadCrop(50, "constant", 9)
    outputs = [transform(image) for _ in range(50)]
    assert any((out == 9).all() for out in outputs)


def test_random_erasing_fills_one_box_of_the_asked_area(image):
    random.seed(0)
    image = image.clamp(max=200)
    transform = RandomErasing(prob=1.0, value=(251, 252, 253), scale=(0.1, 0.3))
    for _ in range(200):
        out = transform(image)
        filled = out[0] == 251
        rows, columns = torch.nonzero(filled).T
        box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
        assert filled[box].all() and filled.sum() == filled[box].numel()
        assert (out[1][filled] == 252).all() and (out[2][filled] == 253).all()
        assert torch.equal(out[:, ~filled], image[:, ~filled])
        height, width = filled[box].shape
        # Sides are rounded: the area and the ratio may be off by half a pixel of each.
        assert (height - 0.5) * (width - 0.5) <= 0.3 * HEIGHT * WIDTH
        assert (height + 0.5) * (width + 0.5) >= 0.1 * HEIGHT * WIDTH
        assert (height - 0.5) / (width + 0.5) <= 3.3 and (height + 0.5) / (width - 0.5) >= 0.3


def test_random_erasing_rounds_the_toolkits_mean(cfg):
    assert RandomErasing.from_config(cfg).value.ravel().tolist() == [124, 116, 104]


def test_color_jitter_of_brightness_scales_pixels(image):
    torch.manual_seed(3)
    out = ColorJitter(1.0, brightness=0.5, contrast=0, saturation=0, hue=0)(image)
    torch.manual_seed(3)
    torch.randperm(4)  # the order of the four changes
    factor = float(torch.empty(1).uniform_(0.5, 1.5))
    expected = (image.float() * factor).clamp(0, 255)
    assert (out.float() - expected).abs().max() <= 1
    assert abs(factor - 1) > 0.05


def test_color_jitter_of_hue_turns_the_color_circle(image):
    torch.manual_seed(0)
    out = ColorJitter(1.0, brightness=0, contrast=0, saturation=0, hue=0.3)(image)
    torch.manual_seed(0)
    torch.randperm(4)
    turn = float(torch.empty(1).uniform_(-0.3, 0.3))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            hue, saturation, value = colorsys.rgb_to_hsv(*(image[:, y, x] / 255).tolist())
            expected = 255 * np.array(colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value))
            # Hue and saturation have 8 bits on the way: 1/256 of a turn is up to 6 gray levels.
            assert np.abs(out[:, y, x].numpy() - expected).max() < 10
    assert abs(turn) > 0.05


def test_grayscale_is_the_luma_in_three_channels(image):
    out = RandomGrayscale(prob=1.0)(image)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            red, green, blue = image[:, y, x].tolist()
            luma = 0.299 * red + 0.587 * green + 0.114 * blue
            assert out[0, y, x] == out[1, y, x] == out[2, y, x]
            assert abs(int(out[0, y, x]) - luma) <= 0.51
    white = torch.full((3, 2, 2), 255, dtype=torch.uint8)
    assert torch.equal(RandomGrayscale(prob=1.0)(white), white)


def test_channel_exchange_repeats_each_channel_as_often(image):
    random.seed(0)
    transform = ChannelExchange(prob=1.0)
    counts = [0, 0, 0]
    for _ in range(900):
        out = transform(image)
        channel = next(c for c in range(3) if torch.equal(out[0], image[c]))
        assert torch.equal(out, torch.stack([image[channel]] * 3))
        counts[channel] += 1
    assert all(240 < count < 360 for count in counts)


def test_image_to_tensor_is_channels_first():
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    tensor = image_to_tensor(Image.fromarray(pixels))
    assert tensor.tolist() == pixels.transpose(2, 0, 1).tolist()
    assert tensor.is_contiguous()


def test_transforms_come_in_the_order_of_the_list_with_their_settings(cfg):
    cfg.INPUT.VISIBLE_TRANSFORMS = ("RandomErasing", "Flip", "PadCrop", "ColorJitter", "ChannelExchange")
    cfg.INPUT.REA.SCALE = (0.02, 0.3)
    cfg.INPUT.REA.PROB = 0.25
    cfg.INPUT.PADDING.SIZE = 4
    cfg.INPUT.PADDING.VALUE = 127
    cfg.INPUT.CJ.HUE = 0.2
    cfg.INPUT.CHANNEL_EXCHANGE.PROB = 0.75
    erasing, flip, crop, jitter, exchange = build_transforms(cfg, "VISIBLE_TRANSFORMS")
    assert (erasing.prob, erasing.scale) == (0.25, (0.02, 0.3))
    assert isinstance(flip, Flip) and flip.prob == 0.5
    assert (crop.size, crop.mode, crop.value) == (4, "constant", 127)
    assert jitter.jitter.hue == (-0.2, 0.2)
    assert exchange.prob == 0.75
    assert [type(transform) for transform in build_transforms(cfg, "INFRARED_TRANSFORMS")] == [Flip, PadCrop]


WRONG = {
    "unknown": (
        ["INPUT.VISIBLE_TRANSFORMS", ("RandomErase",)],
        r"INPUT.VISIBLE_TRANSFORMS names 'RandomErase'; did you mean RandomErasing\? known: Channel",
    ),
    "switch of an unlisted transform": (
        ["INPUT.CJ.ENABLED", True],
        r"INPUT.CJ.ENABLED is True, and has no effect here: name 'ColorJitter' in INPUT.VISIBLE_TRANSFORMS",
    ),
    "switch of nothing": (
        ["INPUT.AUTOAUG.ENABLED", True],
        r"INPUT.AUTOAUG.ENABLED is True, and has no effect here: there is no transform for it",
    ),
    "probability": (["INPUT.FLIP.PROB", 1.5], r"INPUT.FLIP.PROB is 1.5; expected a number from 0 to 1"),
    "padding size": (["INPUT.PADDING.SIZE", -1], r"INPUT.PADDING.SIZE is -1"),
    "padding mode": (
        ["INPUT.PADDING.MODE", "mirror"],
        r"INPUT.PADDING.MODE is 'mirror'; expected constant",
    ),
    "padding value": (["INPUT.PADDING.VALUE", 256], r"INPUT.PADDING.VALUE is 256; expected"),
    "erasing scale": (["INPUT.REA.SCALE", (0.4, 0.2)], r"INPUT.REA.SCALE is \(0.4, 0.2\)"),
    "erasing value": (
        ["INPUT.REA.VALUE", [0.5, 300.0, 0.5]],
        r"INPUT.REA.VALUE is .*expected",
    ),
    "hue": (["INPUT.CJ.HUE", 0.7], r"INPUT.CJ.HUE is 0.7; expected"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_refused_with_its_key(case, cfg):
    setting, message = WRONG[case]
    cfg.INPUT.INFRARED_TRANSFORMS = ("Flip", "PadCrop", "RandomErasing")
    if case == "hue":
        cfg.INPUT.INFRARED_TRANSFORMS = ("ColorJitter",)
    cfg.merge_from_list(setting)
    with pytest.raises(ConfigError, match=message):
        check_values(cfg)
        check_transforms(cfg)


def test_a_switch_of_a_listed_transform_is_no_fault(cfg):
    cfg.INPUT.FLIP.ENABLED = True
    check_transforms(cfg)
    cfg.INPUT.REA.ENABLED = True
    cfg.INPUT.INFRARED_TRANSFORMS = ("RandomErasing",)
    check_transforms(cfg)
    with pytest.raises(ConfigError, match="PADDING"):
        cfg.INPUT.VISIBLE_TRANSFORMS = ()
        cfg.INPUT.INFRARED_TRANSFORMS = ("RandomErasing", "Flip")
        cfg.INPUT.PADDING.ENABLED = True
        check_transforms(cfg)


@pytest.mark.parametrize("rounding", [0, 0x8000])
def test_the_weighted_sum_of_channels_is_exact(rounding, image):
    weights = (1, 30000, 35535)
    out = weighted_gray(image, weights, rounding)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            total = sum(weight * int(channel) for weight, channel in zip(weights, image[:, y, x]))
            assert out[:, y, x].tolist() == [(total + rounding) // 65536] * 3


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999, 1.0])
def test_a_blend_has_the_bits_of_pytorchs_float32(share, image):
    other = image[1]
    expected = (other.float() + share * (image.float() - other.float())).to(torch.uint8)
    assert torch.equal(blended(image, other, share), expected)


@pytest.mark.parametrize("name", NAMES)
def test_transforms_take_images_that_are_views(name, image, cfg):
    transform = TRANSFORM_REGISTRY[name].from_config(cfg)
    wide = image.repeat(1, 1, 2)
    for seed in range(10):
        outputs = []
        for view in (wide[:, :, :WIDTH], image):
            random.seed(seed)
            torch.manual_seed(seed)
            outputs.append(transform(view))
        assert torch.equal(*outputs)
