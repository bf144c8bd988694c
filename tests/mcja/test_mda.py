from pathlib import Path

import numpy as np
import pytest
import torch

from mcja import ModalityDistributionAdapter

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "mda.npz")


def plain_mda(adapter, x):
    """One image at a time, in evaluation."""

    def batch_norm(norm, values, channel):
        scale = norm.weight[channel] / (norm.running_var[channel] + norm.eps).sqrt()
        return (values - norm.running_mean[channel]) * scale + norm.bias[channel]

    out = torch.empty_like(x)
    for n, image in enumerate(x):
        channels = len(image)
        pooled = torch.zeros(channels, adapter.sc_conv.out_channels)
        for m in range(adapter.sc_conv.out_channels):
            scores = adapter.sc_conv.bias[m] + (adapter.sc_conv.weight[m] * image).sum(dim=0)
            attention = scores.exp() / scores.exp().sum()
            for c in range(channels):
                pooled[c, m] = (image[c] * attention).sum()
        for c in range(channels):
            joined = (pooled[c] * adapter.ca_conv.weight[c, 0]).sum()
            gate = 1 / (1 + torch.exp(-batch_norm(adapter.ca_bn, joined, c)))
            out[n, c] = batch_norm(adapter.norm_bn, image[c] * gate, c) + image[c]
    return out


def random_adapter(channels, modalities):
    torch.manual_seed(0)
    adapter = ModalityDistributionAdapter(channels, modalities)
    for norm in (adapter.ca_bn, adapter.norm_bn):
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    return adapter


def test_equals_the_published_module():
    """The state is the one after the forward in training."""
    adapter = ModalityDistributionAdapter(24, 3)
    state = {name[3:]: torch.tensor(GOLDEN[name]) for name in GOLDEN if name.startswith("sd/")}
    adapter.load_state_dict(state)
    x = torch.tensor(GOLDEN["x"])
    for mode, name in ((False, "eval_out"), (True, "train_out")):
        out = adapter.train(mode)(x).detach().numpy()
        assert np.abs(out - GOLDEN[name]).max() <= 1e-5 * np.abs(GOLDEN[name]).max()


@torch.no_grad()
@pytest.mark.parametrize("modalities", [1, 2, 12])
def test_equals_the_plain_loop(modalities):
    adapter = random_adapter(6, modalities).eval()
    x = torch.randn(3, 6, 5, 4)
    torch.testing.assert_close(adapter(x), plain_mda(adapter, x), atol=1e-5, rtol=1e-4)


def test_output_is_the_input_at_the_start_and_every_parameter_learns_once_the_norm_has_moved():
    adapter = ModalityDistributionAdapter(6, 2)
    x = torch.randn(4, 6, 5, 4)
    assert torch.equal(adapter.train()(x), x) and torch.equal(adapter.eval()(x), x)
    torch.nn.init.ones_(adapter.norm_bn.weight)
    adapter.train()(x).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in adapter.parameters())


def test_channels_last_and_bf16_give_the_same():
    adapter = random_adapter(6, 2).eval()
    x = torch.randn(3, 6, 5, 4)
    expected = adapter(x)
    torch.testing.assert_close(adapter(x.to(memory_format=torch.channels_last)), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(adapter(x).float(), expected, atol=0.05, rtol=0.05)
