"""Checkpoints of the published code, whose network is written down here again."""

from functools import partial

import pytest
import torch
from fastreid.modeling import build_model
from torch import nn
from torchvision.models import resnet50

from mcja import ModalityDistributionAdapter
from vireid.engine import load_for_evaluation

IDENTITIES, MAPS = 7, 3


class PublishedMCJA(nn.Module):
    """A torchvision ResNet-50 with adapters behind blocks, GeM and a BN neck, in evaluation."""

    def __init__(self, adapters=(0, 2, 3, 0)):
        super().__init__()
        self.backbone = resnet50(weights=None)
        self.bn_neck = nn.BatchNorm1d(2048)
        self.classifier = nn.Linear(2048, IDENTITIES, bias=False)
        for stage, count in enumerate(adapters, start=1):
            channels = 128 * 2**stage
            built = (ModalityDistributionAdapter(channels, MAPS) for _ in range(count))
            self.add_module(f"MDA_{stage}", nn.ModuleList(built))

    def forward(self, images):
        net = self.backbone
        x = net.maxpool(net.relu(net.bn1(net.conv1(images))))
        for stage in range(1, 5):
            blocks, adapters = getattr(net, f"layer{stage}"), getattr(self, f"MDA_{stage}")
            for i, block in enumerate(blocks):
                x = block(x)
                if i >= len(blocks) - len(adapters):
                    x = adapters[i - (len(blocks) - len(adapters))](x)
        return self.bn_neck(((x**3).mean(dim=(2, 3)) + 1e-12) ** (1 / 3))


@pytest.fixture(scope="module", params=[(0, 2, 3, 0), (0, 0, 0, 0)], ids=["journal", "v1"])
def published(request):
    """Random weights and running statistics."""
    torch.manual_seed(0)
    network = PublishedMCJA(request.param)
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.uniform_(module.bias, -0.2, 0.2)
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    nn.init.zeros_(network.bn_neck.bias)
    return network.eval()


@pytest.fixture
def convert(run_tool):
    """The tool: (exit status, what it printed, its error)."""
    return partial(run_tool, "convert_mcja")


def model_config(config, published, **overrides):
    return config(
        f"MCJA/configs/{'sysu' if len(published.MDA_2) else 'sysu_v1'}.yml",
        MODEL__BACKBONE__NAME="build_resnet_backbone",
        MODEL__BACKBONE__DEPTH="50x",
        MODEL__MDA__MODALITIES=MAPS,
        DATASETS__TESTS=(),
        **overrides,
    )


@torch.no_grad()
def test_a_converted_checkpoint_gives_the_published_embeddings_and_goes_back(
    config, convert, tmp_path, published
):
    official, ours, back = (tmp_path / name for name in ("official.pth", "ours.pth", "back.pth"))
    torch.save(published.state_dict(), official)
    status, printed, error = convert(official, ours)
    assert status == 0, error
    assert f"{IDENTITIES} identities" in printed

    model = load_for_evaluation(model_config(config, published, MODEL__WEIGHTS=str(ours))).eval()
    batch = {
        "images": torch.randint(0, 256, (4, 3, 90, 50), dtype=torch.uint8),
        "modalities": torch.tensor([0, 1, 0, 1]),
    }
    expected = published(model.preprocess_image(batch))
    torch.testing.assert_close(model(batch), expected, atol=1e-4, rtol=0)

    assert convert("--reverse", ours, back)[0] == 0
    returned = torch.load(back, weights_only=True)
    assert set(returned) == set(published.state_dict())
    for name, value in published.state_dict().items():
        assert torch.equal(returned[name], torch.zeros(value.shape) if ".fc." in name else value), name


def test_a_file_that_does_not_fit_is_refused_with_what_does_not(convert, tmp_path):
    state = {
        "classifier.weight": torch.zeros(IDENTITIES, 2048),
        "bn_neck.weight": torch.zeros(512),
        "MDA_1.0.ca_conv.weight": torch.zeros(256, 1, 2),
        "head.bias": torch.zeros(3),
    }
    torch.save({"state_dict": state}, tmp_path / "wrong.pth")
    status, _, error = convert(tmp_path / "wrong.pth", tmp_path / "out.pth")
    assert status == 2 and not (tmp_path / "out.pth").exists()
    assert "missing: backbone.conv1.weight" in error
    assert "2 not of this model: MDA_1.0.ca_conv.weight, head.bias" in error
    assert "1 of another shape: bn_neck.weight (512,) instead of (2048,)" in error


def test_a_file_without_a_classifier_or_without_tensors_is_refused(convert, tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    status, _, error = convert(tmp_path / "other.pth", tmp_path / "out.pth")
    assert status == 2 and "no classifier.weight" in error
    (tmp_path / "text.pth").write_text("no")
    status, _, error = convert(tmp_path / "text.pth", tmp_path / "out.pth")
    assert status == 2 and "not a checkpoint of plain tensors" in error


def test_the_split_of_regdb_is_recorded(convert, tmp_path):
    torch.manual_seed(0)
    torch.save(PublishedMCJA().state_dict(), tmp_path / "official.pth")
    assert convert(tmp_path / "official.pth", tmp_path / "out.pth", "--regdb-split", 3)[0] == 0
    assert torch.load(tmp_path / "out.pth", weights_only=True)["datasets"] == {"RegDB": {"split": 3}}


def test_the_head_pools_without_a_clamp(config):
    model = build_model(config()).eval()
    features = torch.rand(2, 64, 4, 2) * 1e-8
    plain = ((features.double() ** 3).mean(dim=(2, 3)) + 1e-12) ** (1 / 3)
    torch.testing.assert_close(model.heads.pool_layer(features)[..., 0, 0], plain.float())
