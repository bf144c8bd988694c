"""DEE and MFA, beside the numbers of the published code and its words."""

from pathlib import Path

import numpy as np
import pytest
import torch

from deen import DiverseEmbeddingExpansion, MultistageAggregation
from deen.modules import ChannelNonLocal, PixelNonLocal

GOLDEN = {
    name: torch.from_numpy(value)
    for name, value in np.load(Path(__file__).parents[1] / "golden" / "deen.npz").items()
}


def parameters(prefix):
    return {name.removeprefix(prefix): value for name, value in GOLDEN.items() if name.startswith(prefix)}


def close(found, name):
    torch.testing.assert_close(found.detach(), GOLDEN[name], atol=1e-9, rtol=0)


def test_dee_is_the_published_one():
    module = DiverseEmbeddingExpansion(16).double().eval()
    module.load_state_dict(parameters("dee."))
    x = GOLDEN["dee_x"].requires_grad_()
    y = module(x)
    (y * GOLDEN["dee_g"]).sum().backward()
    close(y, "dee_y")
    close(x.grad, "dee_dx")
    assert torch.equal(y[:3], x)


def test_dee_drops_values_of_all_three_parts_in_training():
    torch.manual_seed(0)
    y = DiverseEmbeddingExpansion(8, dropout=0.5).train()(torch.ones(2, 8, 16, 16))
    for part in y.chunk(3):
        assert 0.45 < float((part == 0).float().mean()) < 0.55


@pytest.mark.parametrize("name, high, low, stride", [("mfa0", 12, 8, 1), ("mfa1", 16, 12, 2)])
def test_mfa_is_the_published_one(name, high, low, stride):
    module = MultistageAggregation(high, low, stride).double().train()
    assert module.load_state_dict(parameters(f"{name}."), strict=False).unexpected_keys == []
    x, before = (GOLDEN[f"{name}_{key}"].requires_grad_() for key in ("x", "x0"))
    y = module(x, before)
    (y * GOLDEN[f"{name}_g"]).sum().backward()
    close(y, f"{name}_y")
    close(x.grad, f"{name}_dx")
    close(before.grad, f"{name}_dx0")


@pytest.mark.parametrize(
    "module, share", [(ChannelNonLocal(16, 12, 12), 0.001), (PixelNonLocal(16, 12, 6), 0.3)]
)
def test_attention_is_finite_in_fp16_on_large_maps(module, share):
    """A sum over all places of a map is above 65,504, the largest number of fp16; a mean is not."""
    generator = torch.Generator().manual_seed(0)
    x, before = (3 * torch.rand(2, channels, 48, 36, generator=generator) for channels in (16, 12))
    for convolution in (module.theta, module.phi, module.g, module.W[0], module.W[1]):
        torch.nn.init.ones_(convolution.weight)
        torch.nn.init.zeros_(convolution.bias)
    module.g.weight.data *= share
    module.W[0].weight.data *= 0.01
    others = {ChannelNonLocal: module.theta(x), PixelNonLocal: module.g(before)}[type(module)]
    sums = others.flatten(2) @ module.phi(before).flatten(2).transpose(1, 2)
    assert float(sums.detach().max()) > 65504
    with torch.autocast("cpu", torch.float16):
        found = module.train()(x, before)
    torch.testing.assert_close(found, module(x, before), rtol=0, atol=0.05)


@pytest.mark.parametrize("size, before", [((5, 3), (10, 6)), ((4, 2), (7, 3)), ((3, 1), (5, 1))])
def test_mfa_starts_as_the_identity_and_takes_odd_maps(size, before):
    torch.manual_seed(0)
    module = MultistageAggregation(8, 6, 2).train()
    x = torch.rand(2, 8, *size)
    assert torch.equal(module(x, torch.rand(2, 6, *before)), x)
