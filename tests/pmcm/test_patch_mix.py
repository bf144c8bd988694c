import pytest
import torch

from pmcm import patch_mix
from pmcm.mixing import PatchMix, draw_pairs
from vireid.modality import Modality


def images(batch=4, size=(64, 32), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, *size, generator=generator)


@pytest.mark.parametrize("ratio", [0.0, 0.0625, 0.25, 0.3, 0.5, 0.99, 1.0])
def test_each_pixel_is_that_of_the_image_its_patch_names(ratio):
    visible, infrared = images(seed=1), images(seed=2)
    mixed, mask = patch_mix(visible, infrared, ratio)
    assert mask.shape == (4, 1, 4, 2)
    assert mask.dtype == torch.bool
    for image in range(4):
        assert mask[image].sum() == round(ratio * 8)
        for y in range(64):
            for x in range(32):
                source = visible if mask[image, 0, y // 16, x // 16] else infrared
                assert torch.equal(mixed[image, :, y, x], source[image, :, y, x])


def test_the_ends_of_the_ratio_are_the_images_themselves():
    visible, infrared = images(seed=1), images(seed=2)
    assert torch.equal(patch_mix(visible, infrared, 0.0)[0], infrared)
    assert torch.equal(patch_mix(visible, infrared, 1.0)[0], visible)


def test_half_a_patch_rounds_to_even():
    pair = images(1, (16, 48)), images(1, (16, 48))
    assert patch_mix(*pair, ratio=0.5)[1].sum() == 2  # 1.5 patches
    pair = images(1, (16, 80)), images(1, (16, 80))
    assert patch_mix(*pair, ratio=0.5)[1].sum() == 2  # 2.5 patches


def test_every_patch_is_drawn_equally_often():
    blank = torch.zeros(4000, 1, 64, 32)
    share = patch_mix(blank, blank, 0.25)[1].float().mean(dim=0)
    assert (share - 0.25).abs().max() < 0.03


def test_a_generator_repeats_the_draw():
    pair = images(seed=1), images(seed=2)
    first, second = (patch_mix(*pair, 0.5, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[1], patch_mix(*pair, 0.5, generator=torch.Generator().manual_seed(4))[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((images(4), images(3), 0.5), "visible images are"),
        ((images(), images(), 1.5), "ratio is 1.5"),
        ((images(), images(), 0.5, 24), "64x32 do not divide into patches of 24"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        patch_mix(*arguments)


def test_pairs_are_of_one_identity_and_each_image_is_used_once():
    torch.manual_seed(0)
    targets = torch.tensor([7, 7, 7, 3, 3, 9, 7, 3, 3, 3, 5])
    modalities = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    for _ in range(20):
        visible, infrared = draw_pairs(targets, modalities).unbind(1)
        assert torch.equal(targets[visible], targets[infrared])
        assert set(modalities[visible].tolist()) == {0}
        assert set(modalities[infrared].tolist()) == {1}
        assert sorted(targets[visible].tolist()) == [3, 3, 7]  # min(2, 3) of 3, min(3, 1) of 7
        assert len(set(visible.tolist())) == len(set(infrared.tolist())) == 3


def test_every_partner_is_drawn():
    torch.manual_seed(0)
    targets, modalities = torch.zeros(6, dtype=torch.long), torch.tensor([0, 0, 0, 1, 1, 1])
    seen = {tuple(pair) for _ in range(200) for pair in draw_pairs(targets, modalities).tolist()}
    assert seen == {(v, i) for v in (0, 1, 2) for i in (3, 4, 5)}


def test_mixed_images_join_the_batch_at_its_end():
    batch = {
        "images": images(6),
        "targets": torch.tensor([4, 4, 8, 4, 8, 8]),
        "camids": torch.tensor([1, 2, 4, 3, 6, 3]),
        "modalities": torch.tensor([0, 0, 0, 1, 1, 1]),
    }
    out = PatchMix(1.0, 16)(dict(batch))
    assert out["modalities"].tolist() == [0, 0, 0, 1, 1, 1, Modality.MIXED, Modality.MIXED]
    visible = out["mixed_sources"][:, 0]
    assert torch.equal(out["images"][6:], batch["images"][visible])  # ratio 1 is the visible image
    assert torch.equal(out["targets"][6:], batch["targets"][visible])
    assert all(torch.equal(out[key][:6], batch[key]) for key in batch)


def test_a_batch_without_pairs_stays_as_it_is():
    batch = {
        "images": images(2),
        "targets": torch.tensor([0, 1]),
        "camids": torch.tensor([1, 3]),
        "modalities": torch.tensor([0, 1]),
    }
    out = PatchMix(0.5, 16)(dict(batch))
    assert out["images"].shape[0] == 2
    assert out["mixed_sources"].shape == (0, 2)
