"""DEE and MFA, beside the numbers of the published code and its words."""

from pathlib import Path

import numpy as np
import pytest
import torch

from deen import DiverseEmbeddingExpansion, MultistageAggregation

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


@pytest.mark.parametrize("size, before", [((5, 3), (10, 6)), ((4, 2), (7, 3)), ((3, 1), (5, 1))])
def test_mfa_starts_as_the_identity_and_takes_odd_maps(size, before):
    torch.manual_seed(0)
    module = MultistageAggregation(8, 6, 2).train()
    x = torch.rand(2, 8, *size)
    assert torch.equal(module(x, torch.rand(2, 6, *before)), x)
