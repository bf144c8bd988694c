"""Checkpoints of the codes of AGW, CAJ and DEEN, whose networks are written down here again.

MCJA's are in tests/mcja/test_published.py.
"""

from functools import partial

import fastreid  # noqa: F401  (mended first: torchvision needs it)
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet50

from configs import tiny_config
from deen import DiverseEmbeddingExpansion, MultistageAggregation
from vireid.engine import load_for_evaluation
from vireid.modeling.published import model_state
from vireid.registries import PUBLISHED_REGISTRY

IDENTITIES = 7
EXTRAS = {"cmc": np.linspace(0.5, 1, 20), "mAP": np.float64(0.41), "mINP": np.float32(0.3), "epoch": 62}


def whole_resnet():
    """A ResNet-50 of which the code uses a part, and saves all; zeros."""
    with torch.device("meta"):
        network = resnet50(weights=None)
    del network.fc
    network.layer4[0].conv2.stride = network.layer4[0].downsample[0].stride = (1, 1)
    network = network.to_empty(device="cpu")
    for value in network.state_dict().values():
        value.zero_()
    return network


class Holder(nn.Module):
    """A module that holds another under a name."""

    def __init__(self, name, module):
        super().__init__()
        self.add_module(name, module)


class NonLocal(nn.Module):
    """AGW's block of one inner channel."""

    def __init__(self, channels):
        super().__init__()
        self.g = nn.Sequential(nn.Conv2d(channels, 1, 1))
        self.W = nn.Sequential(nn.Conv2d(1, channels, 1), nn.BatchNorm2d(channels))
        self.theta, self.phi = nn.Conv2d(channels, 1, 1), nn.Conv2d(channels, 1, 1)

    def forward(self, x):
        g, theta, phi = (part(x).flatten(1) for part in (self.g, self.theta, self.phi))
        attended = theta * (phi * g).sum(dim=1, keepdim=True) / g.shape[1]
        return self.W(attended.view(len(x), 1, *x.shape[2:])) + x


class Published(nn.Module):
    """What the codes have in common: a whole ResNet for each stem, one for the rest, neck and classifier."""

    channels = 2048

    def __init__(self):
        super().__init__()
        self.thermal_module = Holder("thermal", whole_resnet())
        self.visible_module = Holder("visible", whole_resnet())
        self.base_resnet = Holder("base", whole_resnet())
        self.bottleneck = nn.BatchNorm1d(self.channels)
        self.classifier = nn.Linear(self.channels, IDENTITIES, bias=False)

    def stems(self, images, modalities):
        nets = (self.visible_module.visible, self.thermal_module.thermal)
        outputs = [net.maxpool(net.relu(net.bn1(net.conv1(images)))) for net in nets]
        return torch.stack([outputs[m][i] for i, m in enumerate(modalities)])


class PublishedAGW(Published):
    def __init__(self):
        super().__init__()
        for stage, channels, count in ((1, 256, 0), (2, 512, 2), (3, 1024, 3), (4, 2048, 0)):
            self.add_module(f"NL_{stage}", nn.ModuleList(NonLocal(channels) for _ in range(count)))

    def forward(self, images, modalities):
        x = self.stems(images, modalities)
        for stage in range(1, 5):
            blocks = getattr(self.base_resnet.base, f"layer{stage}")
            others = getattr(self, f"NL_{stage}")
            for place, block in enumerate(blocks, start=len(others) - len(blocks)):
                x = block(x)
                if place >= 0:
                    x = others[place](x)
        return F.normalize(self.bottleneck(((x**3).mean(dim=(2, 3)) + 1e-12) ** (1 / 3)))


class PublishedDEEN(Published):
    stages = 4

    def __init__(self):
        super().__init__()
        for stage in range(1, self.stages):
            high, low, stride = {1: (256, 64, 1), 2: (512, 256, 2), 3: (1024, 512, 2)}[stage]
            self.add_module(f"MFA{stage}", MultistageAggregation(high, low, stride))
        self.DEE = DiverseEmbeddingExpansion(self.channels // 2)

    def forward(self, images, modalities):
        x = self.stems(images, modalities)
        for stage in range(1, self.stages):
            x = getattr(self, f"MFA{stage}")(getattr(self.base_resnet.base, f"layer{stage}")(x), x)
        pooled = getattr(self.base_resnet.base, f"layer{self.stages}")(self.DEE(x)).mean(dim=(2, 3))
        parts = torch.stack([F.normalize(pooled), F.normalize(self.bottleneck(pooled))], dim=1)
        return F.normalize(torch.cat(parts.chunk(3), dim=1).flatten(1))


class PublishedDEENOnRegDB(PublishedDEEN):
    channels, stages = 1024, 3


CODES = {
    ("agw", "vireid/sysu MODEL.HEADS.NAME GeMHead"): PublishedAGW,
    ("deen", "deen/regdb"): PublishedDEENOnRegDB,
}


def trained_like(kind):
    """Random weights and running statistics, but for the layers of the stems, which nothing calls."""
    torch.manual_seed(0)
    network = kind()
    for name, module in network.named_modules():
        if "module." in name and ".layer" in name:
            continue
        if isinstance(module, nn.Conv2d) and not module.weight.any():
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.uniform_(module.bias, -0.2, 0.2)
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    nn.init.zeros_(network.bottleneck.bias)
    return network.eval()


@pytest.mark.parametrize(("code", "recipe"), CODES)
@torch.no_grad()
def test_a_converted_checkpoint_gives_the_published_embeddings_and_goes_back(command, tmp_path, code, recipe):
    published = trained_like(CODES[code, recipe])
    official, ours, back = (tmp_path / name for name in ("official.t", "ours.pth", "back.pth"))
    state = published.state_dict()
    torch.save({"net": state, **EXTRAS}, official)
    convert = partial(command, "convert", "--from", code)
    status, printed, error = convert(official, ours)
    assert status == 0, error
    assert (
        f"ours.pth: {printed.split()[1]} tensors, for {recipe}\n" in printed and "classifier" not in printed
    )

    name, *opts = recipe.split()
    settings = {key.replace(".", "__"): value for key, value in zip(opts[::2], opts[1::2])}
    package, file = name.split("/")
    cfg = tiny_config(
        f"{'VIReID' if package == 'vireid' else package.upper()}/configs/{file}.yml",
        MODEL__BACKBONE__NAME="build_resnet_backbone",
        MODEL__BACKBONE__DEPTH="50x",
        MODEL__BACKBONE__WITH_NL=code != "deen",
        MODEL__WEIGHTS=str(ours),
        DATASETS__TESTS=(),
        **settings,
    )
    model = load_for_evaluation(cfg).eval()
    batch = {
        "images": torch.randint(0, 256, (4, 3, 64, 32), dtype=torch.uint8),
        "modalities": torch.tensor([0, 1, 0, 1]),
    }
    expected = published(model.preprocess_image(batch), batch["modalities"])
    torch.testing.assert_close(F.normalize(model(batch)), expected, atol=1e-5, rtol=0)

    assert convert("--reverse", ours, back)[0] == 0
    returned = torch.load(back, weights_only=True)["net"]
    assert returned.keys() == state.keys()
    called = {PUBLISHED_REGISTRY[code.upper()]().published_name(name) for name in model.state_dict()}
    for name, value in state.items():
        assert torch.equal(returned[name], value if name in called else torch.zeros_like(value)), name


def test_deens_names_are_those_of_its_networks():
    code = PUBLISHED_REGISTRY["DEEN"]()
    for kind in (PublishedDEEN, PublishedDEENOnRegDB):
        with torch.device("meta"):
            state = kind().state_dict()
        own = model_state(code, state, "file")
        called = {code.published_name(name) for name in own}
        assert called | code.unused().keys() == state.keys()
        assert all(state[code.published_name(name)].shape == value.shape for name, value in own.items())


def test_caj_has_the_names_of_agw():
    caj, agw = PUBLISHED_REGISTRY["CAJ"](), PUBLISHED_REGISTRY["AGW"]()
    assert type(caj).published_name is type(agw).published_name and caj.settings({}) == ["caj/sysu"]


def test_every_code_has_a_name_and_an_unknown_one_is_told_them(command, tmp_path):
    status, _, error = command("convert", "--from", "hcml", "a.pth", tmp_path / "b.pth")
    assert status == 2
    for kind in PUBLISHED_REGISTRY.values():
        assert kind.name in error


def test_lists_of_identities_are_for_a_code_whose_classes_do_not_ascend(command, tmp_path):
    status, _, error = command(
        "convert", "--from", "deen", "a.t", tmp_path / "b.pth", "--identities", tmp_path
    )
    assert status == 2
    assert "the classes of deen are the identities in ascending order, as here; leave it out" in error
