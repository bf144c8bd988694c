"""Grad-CAM against a plain loop over channels, attention rollout against a plain product."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from configs import tiny_config
from vireid.engine.models import build_model
from vireid.errors import ConfigError
from vireid.visualize.attention import attention_rollout, grad_cam, look_maps, rollout_maps

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
                partner = model.heads(features[other : other + 1])
            cosine_similarity(model.heads(map_), partner).sum().backward()
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


def test_the_method_follows_from_the_backbone(convolutional, with_token, batch):
    maps, method = look_maps(convolutional, batch)
    assert method == "grad-cam" and maps.amax(dim=(1, 2)).max() == 1
    assert look_maps(with_token, batch)[1] == "rollout"


def test_a_method_that_the_backbone_does_not_allow(convolutional, with_token, batch):
    with pytest.raises(
        ConfigError, match="no blocks in which all tokens attend to each other; use --method grad"
    ):
        look_maps(convolutional, batch, "rollout")
    with pytest.raises(ConfigError, match="gives one vector an image, and no map; use --method rollout"):
        look_maps(with_token, batch, "grad-cam")
