"""Grad-CAM against a plain loop over channels, attention rollout against a plain product, covered squares."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from configs import tiny_config
from vireid.engine.models import build_model
from vireid.errors import ConfigError
from vireid.visualize.attention import (
    attention_rollout,
    grad_cam,
    look_maps,
    occlusion_maps,
    rollout_maps,
)

VIT = {
    "MODEL__BACKBONE__DEPTH": "small",
    "MODEL__BACKBONE__STRIDE_SIZE": [16, 16],
    "MODEL__HEADS__POOL_LAYER": "GlobalAvgPool",
    "INPUT__SIZE_TRAIN": [64, 32],
    "INPUT__SIZE_TEST": [64, 32],
}


def built(**overrides):
    torch.manual_seed(0)
    return build_model(tiny_config(**overrides)).eval()


@pytest.fixture(scope="module")
def convolutional():
    return built()


@pytest.fixture(scope="module")
def with_map():
    return built(MODEL__BACKBONE__NAME="build_vit_map_backbone", **VIT)


@pytest.fixture(scope="module")
def with_token():
    return built(MODEL__BACKBONE__NAME="build_vit_backbone", **VIT)


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (4, 3, 64, 32), generator=generator, dtype=torch.uint8)
    return {"images": images, "modalities": torch.tensor([0, 0, 1, 1])}


def random_attention(blocks=3, batch=2, heads=2, tokens=5):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, heads, tokens, tokens, generator=generator).softmax(-1) for _ in range(blocks)]


def test_grad_cam_is_the_loop_over_pairs_and_channels(convolutional, batch):
    model = convolutional
    model.layout.set(batch["modalities"])
    with torch.no_grad():
        features = model.backbone(model.preprocess_image(batch))
    expected = torch.zeros(4, *features.shape[2:])
    for pair in range(2):
        for image, other in ((pair, pair + 2), (pair + 2, pair)):
            map_ = features[image : image + 1].clone().requires_grad_()
            with torch.no_grad():
                partner = model.heads(features[other : other + 1])[0]
                length = model.heads(map_)[0].norm()
            score = model.heads(map_)[0] @ partner / (length * partner.norm())
            score.backward()
            for channel in range(features.shape[1]):
                expected[image] += map_.grad[0, channel].mean() * features[image, channel]
    torch.testing.assert_close(grad_cam(model, batch), expected.clamp_min(0), rtol=1e-3, atol=1e-7)


def test_the_gradient_is_had_where_the_backbone_is_frozen(convolutional, batch):
    before = grad_cam(convolutional, batch)
    convolutional.requires_grad_(False)
    try:
        assert torch.equal(grad_cam(convolutional, batch), before)
    finally:
        convolutional.requires_grad_(True)
    assert all(parameter.grad is None for parameter in built().parameters())


def test_rollout_is_the_product_of_the_blocks_with_their_skip_connections():
    layers = random_attention()
    for image in range(2):
        expected = torch.eye(5)
        for attention in layers:
            mean = sum(attention[image, head] for head in range(2)) / 2
            mixed = 0.5 * mean + 0.5 * torch.eye(5)
            expected = mixed @ expected
        torch.testing.assert_close(attention_rollout(layers)[image], expected)


def test_rows_of_the_rollout_sum_to_one():
    rollout = attention_rollout(random_attention(blocks=6))
    torch.testing.assert_close(rollout.sum(dim=2), torch.ones(2, 5))
    assert (rollout >= 0).all()


def test_blocks_that_attend_to_themselves_alone_pass_each_token_on():
    identity = torch.eye(5).expand(2, 2, 5, 5)
    torch.testing.assert_close(attention_rollout([identity] * 4), torch.eye(5).expand(2, 5, 5))


@pytest.mark.parametrize("kind", ["with_map", "with_token"])
def test_tokens_become_a_map_of_patches(request, kind, batch):
    """What patches give to the embedding is a share: with that of the class token, the sum is one."""
    model = request.getfixturevalue(kind)
    maps = rollout_maps(model, batch)
    assert maps.shape == (4, 4, 2)
    assert (maps >= 0).all() and (maps.sum(dim=(1, 2)) <= 1).all()
    assert not torch.allclose(maps[0], maps[1])


class MeanColors(nn.Module):
    """Embeds an image as the sum of the colors of its upper half."""

    def forward(self, batch):
        return batch["images"][:, :, :32].float().sum(dim=(2, 3))


def test_covering_a_part_that_the_embedding_has_not_seen_changes_nothing():
    generator = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (4, 3, 64, 32), generator=generator, dtype=torch.uint8)
    images[:, 0, 8:16, 16:24] = 255  # a red square
    images[:, 1:, 8:16, 16:24] = 0
    batch = {"images": images, "modalities": torch.tensor([0, 0, 1, 1])}
    maps, centers = occlusion_maps(MeanColors(), batch)
    assert (maps.shape, centers) == ((4, 15, 7), [(3.5, 4.0)] * 2)
    assert (maps[:, 8:] == 0).all()  # squares of the lower half
    embeddings = MeanColors()(batch)
    for image in range(4):
        covered = images.clone()
        color = images[image].float().mean(dim=(1, 2)).to(torch.uint8)
        covered[image, :, 8:16, 16:24] = color[:, None, None]
        found = MeanColors()({"images": covered})[image]
        partner = embeddings[(image + 2) % 4]
        expected = cosine_similarity(embeddings[image], partner, 0) - cosine_similarity(found, partner, 0)
        torch.testing.assert_close(maps[image, 2, 4], expected)


def test_a_heat_is_as_large_as_the_image_and_at_most_one(convolutional, with_map, batch):
    for model, method in ((convolutional, "grad-cam"), (convolutional, "occlusion"), (with_map, "rollout")):
        heats, used = look_maps(model, batch, method)
        assert (heats.shape, used) == ((4, 64, 32), method)
        assert (heats >= 0).all()
        torch.testing.assert_close(heats.amax(dim=(1, 2)), torch.ones(4))


def test_the_method_follows_from_the_backbone(convolutional, with_token, batch):
    assert look_maps(convolutional, batch)[1] == "grad-cam"
    assert look_maps(with_token, batch)[1] == "rollout"


def test_a_method_that_the_backbone_does_not_allow(convolutional, with_token, batch):
    with pytest.raises(ConfigError, match="no blocks in which all tokens attend to each other; use grad-cam"):
        look_maps(convolutional, batch, "rollout")
    with pytest.raises(ConfigError, match="gives one vector an image, and no map; use rollout"):
        look_maps(with_token, batch, "grad-cam")
