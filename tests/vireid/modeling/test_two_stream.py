import copy

import pytest
import torch
from torch import nn

from configs import tiny_config
from vireid.errors import ConfigError
from vireid.modality import Modality
from vireid.modeling.backbones import build_backbone
from vireid.modeling.batch_layout import BatchLayout
from vireid.modeling.two_stream import ModalityRoute, split_streams

VISIBLE_INFRARED_MIXED = torch.tensor([0, 0, 0, 1, 1, 2, 2])


SOURCES = torch.tensor([[2, 3], [0, 4]])
MASK = torch.tensor([[[[True, False], [False, True]]], [[[False, False], [True, False]]]])


def routed(module, mixed_stem="visible", modalities=VISIBLE_INFRARED_MIXED, mixing=()):
    layout = BatchLayout()
    layout.set(modalities, *mixing)
    return ModalityRoute(module, layout, mixed_stem), layout


@pytest.mark.parametrize("mixed_stem", ["visible", "infrared", "own"])
def test_copies_start_alike_so_the_output_is_unchanged(mixed_stem):
    module = nn.Conv2d(3, 4, 3)
    images = torch.randn(7, 3, 8, 8)
    expected = module(images)
    route, _ = routed(module, mixed_stem)
    torch.testing.assert_close(route(images), expected)


@pytest.mark.parametrize(
    ("mixed_stem", "changed"), [("visible", [3, 4]), ("infrared", [3, 4, 5, 6]), ("own", [3, 4])]
)
def test_only_the_images_of_a_copy_feel_its_change(mixed_stem, changed):
    route, _ = routed(nn.Conv2d(3, 4, 3), mixed_stem)
    images = torch.randn(7, 3, 8, 8)
    before = route(images)
    nn.init.normal_(route.infrared.weight)
    differs = (route(images) - before).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert differs.nonzero().flatten().tolist() == changed


def test_images_that_share_a_copy_share_its_batch_norm():
    route, _ = routed(nn.BatchNorm2d(3), "visible")
    images = torch.randn(7, 3, 8, 8) + torch.arange(7).view(7, 1, 1, 1)
    route.train()(images)
    seen = images[[0, 1, 2, 5, 6]].mean(dim=(0, 2, 3))
    torch.testing.assert_close(route.visible.running_mean, 0.1 * seen)
    torch.testing.assert_close(route.infrared.running_mean, 0.1 * images[[3, 4]].mean(dim=(0, 2, 3)))


def test_a_stitched_image_has_each_patch_from_the_copy_of_its_modality():
    route, _ = routed(nn.Conv2d(3, 4, 3, stride=2, padding=1), "patches", mixing=(SOURCES, MASK))
    nn.init.normal_(route.infrared.weight)
    images = torch.randn(7, 3, 16, 16)
    found = route(images)
    of_visible, of_infrared = route.visible(images[:3]), route.infrared(images[3:5])
    torch.testing.assert_close(found[:5], torch.cat([of_visible, of_infrared]))
    for image, (visible, infrared) in enumerate(SOURCES.tolist()):
        for y in range(8):
            for x in range(8):
                from_visible = MASK[image, 0, y // 4, x // 4]
                expected = of_visible[visible] if from_visible else of_infrared[infrared - 3]
                assert torch.equal(found[5 + image, :, y, x], expected[:, y, x])


def test_stitched_images_enter_no_statistics():
    route, _ = routed(nn.BatchNorm2d(3), "patches", mixing=(SOURCES, MASK))
    images = torch.randn(7, 3, 8, 8) + torch.arange(7).view(7, 1, 1, 1)
    route.train()(images)
    torch.testing.assert_close(route.visible.running_mean, 0.1 * images[:3].mean(dim=(0, 2, 3)))
    torch.testing.assert_close(route.infrared.running_mean, 0.1 * images[3:5].mean(dim=(0, 2, 3)))


def test_stitching_waits_for_no_mixed_image_of_another_process():
    route, layout = routed(nn.Conv2d(3, 4, 3), "patches", torch.tensor([0, 1]))
    layout.computed = list(Modality)  # another process has mixed images
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(route(images), torch.cat([route.visible(images[:1]), route.infrared(images[1:])]))


def test_stitching_compiles():
    route, _ = routed(nn.Conv2d(3, 4, 3), "patches", mixing=(SOURCES, MASK))
    images = torch.randn(7, 3, 8, 8)
    torch.testing.assert_close(torch.compile(route, backend="eager", fullgraph=True)(images), route(images))


def test_stitching_without_masks_is_refused():
    route, _ = routed(nn.Conv2d(3, 4, 3), "patches")
    with pytest.raises(RuntimeError, match='MIXED_STEM "patches" needs mixed images with their masks'):
        route(torch.randn(7, 3, 8, 8))


def test_a_batch_of_one_modality_leaves_the_other_copy_alone():
    route, _ = routed(nn.Conv2d(3, 4, 3), modalities=torch.ones(4, dtype=torch.long))
    route(torch.randn(4, 3, 8, 8)).sum().backward()
    assert route.infrared.weight.grad is not None
    assert route.visible.weight.grad is None


def test_a_copy_that_has_no_image_computes_in_float32():
    """A norm of all processes sends float32 of images; of none, zeros in the type of its input."""
    types = {}
    route, layout = routed(nn.Conv2d(3, 4, 1), "own", torch.tensor([0, 0]))
    layout.computed = [Modality.VISIBLE, Modality.INFRARED]  # another process has infrared images
    for name, copy_ in route.named_children():
        copy_.register_forward_hook(lambda _, inputs, output, name=name: types.update({name: output.dtype}))
    with torch.autocast("cpu", torch.bfloat16):
        found = route(torch.randn(2, 3, 5, 5))
    assert types == {"visible": torch.bfloat16, "infrared": torch.float32}
    assert (found.shape, found.dtype) == ((2, 4, 5, 5), torch.bfloat16)
    found.sum().backward()
    assert route.infrared.weight.grad.count_nonzero() == 0  # it takes part in the backward pass


def test_a_batch_that_the_layout_does_not_describe_is_refused():
    route, _ = routed(nn.Conv2d(3, 4, 3))
    with pytest.raises(RuntimeError, match=r"got 5 images where the batch layout has \(3, 2, 2\)"):
        route(torch.randn(5, 3, 8, 8))


def test_auto_splits_the_stem_and_keeps_the_outputs():
    cfg = tiny_config()
    backbone = build_backbone(cfg).eval()
    images = torch.randn(7, 3, 64, 32)
    expected = copy.deepcopy(backbone)(images)
    layout = BatchLayout()
    layout.set(VISIBLE_INFRARED_MIXED)
    names = split_streams(backbone, cfg.MODEL.BACKBONE.NAME, ("auto",), "own", layout)
    assert names == ("conv1", "bn1")
    torch.testing.assert_close(backbone(images), expected)


@pytest.mark.parametrize("mixed_stem", ["own", "patches"])
def test_a_stage_is_split_into_its_blocks(mixed_stem):
    """The toolkit's ResNet counts and indexes the blocks of a stage."""
    cfg = tiny_config()
    backbone = build_backbone(cfg).eval()
    images = torch.randn(7, 3, 64, 32)
    expected = copy.deepcopy(backbone)(images)
    layout = BatchLayout()
    layout.set(VISIBLE_INFRARED_MIXED, SOURCES, MASK)
    stem = ("conv1", "bn1", "layer1")
    names = split_streams(backbone, cfg.MODEL.BACKBONE.NAME, stem, mixed_stem, layout)
    assert names == ("conv1", "bn1", "layer1.0")
    torch.testing.assert_close(backbone(images)[:5], expected[:5])


def test_a_module_within_another_one_is_refused():
    stage = nn.Sequential(nn.Sequential(nn.ReLU()))
    with pytest.raises(ConfigError, match="SPECIFIC names '0' and '0.0', which is within it"):
        split_streams(stage, "build_mine", ("0", "0.0"), "visible", BatchLayout())


def test_unknown_stem_and_unknown_module_are_named():
    layout = BatchLayout()
    with pytest.raises(ConfigError, match=r"stem of build_mine is not known; name its modules.*0"):
        split_streams(nn.Sequential(nn.ReLU()), "build_mine", ("auto",), "visible", layout)
    with pytest.raises(ConfigError, match="SPECIFIC names 'conv9'"):
        split_streams(nn.Sequential(nn.ReLU()), "build_mine", ("conv9",), "visible", layout)
