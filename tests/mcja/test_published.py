"""Checkpoints of the published code, whose network is written down here again."""

from functools import partial

import pytest
import torch
from fastreid.modeling import build_model
from torch import nn
from torchvision.models import resnet50

from mcja import ModalityDistributionAdapter
from mcja.published import MCJA
from vireid.data import TrainSet
from vireid.data.datasets import SYSUMM01
from vireid.engine import load_for_evaluation
from vireid.errors import CheckpointError, DatasetError
from vireid.modeling.published import with_own_classes, with_published_classes

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
def convert(command):
    """The tool: (exit status, what it printed, its error)."""
    return partial(command, "convert", "--from", "mcja")


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
    assert "for mcja/sysu" in printed
    assert "left in the published order of identities; training must not go on from it" in printed

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


TRAIN, VAL = (12, 3, 45, 7), (40, 5, 2)  # in the order of the lists


@pytest.fixture
def lists(tmp_path):
    """A folder with the two lists of SYSU-MM01."""
    for name, pids in (("train_id.txt", TRAIN), ("val_id.txt", VAL)):
        (tmp_path / name).write_text(",".join(map(str, pids)) + "\n")
    return tmp_path


def test_classes_go_from_the_order_of_the_lists_to_ascending_identities(lists):
    order = MCJA().class_order(lists)
    assert order == [*TRAIN, *VAL]
    published = torch.rand(len(order), 4)
    ours = with_own_classes({"heads.weight": published, "other": torch.ones(1)}, order, "file")
    for label, pid in enumerate(sorted(order)):
        for published_label, other in enumerate([*TRAIN, *VAL]):
            if pid == other:
                assert torch.equal(ours["heads.weight"][label], published[published_label])
    assert torch.equal(ours["other"], torch.ones(1))
    back = with_published_classes(ours, order, "file")
    assert torch.equal(back["heads.weight"], published)


def test_the_order_of_classes_is_that_of_the_training_set(generated_root):
    order = MCJA().class_order(generated_root / "SYSU-MM01" / "exp")
    assert order != sorted(order)
    weights = {"heads.weight": torch.tensor(order).unsqueeze(1)}  # each row names its identity
    ours = with_own_classes(weights, order, "file")["heads.weight"]
    dataset = SYSUMM01(str(generated_root))
    labels = [item.pid for item in TrainSet([dataset], (8, 4), {}).items]
    assert [ours[label].item() for label in labels] == [item.pid for item in dataset.train]


def test_other_identities_are_refused(lists):
    with pytest.raises(CheckpointError, match=r"file has 3 classes, but .* name 7 identities"):
        with_own_classes({"heads.weight": torch.zeros(3, 2)}, MCJA().class_order(lists), "file")
    (lists / "val_id.txt").write_text("40,3,12")
    with pytest.raises(DatasetError, match="name identities 3, 12 more than once"):
        MCJA().class_order(lists)
    (lists / "val_id.txt").unlink()
    with pytest.raises(DatasetError, match=r"val_id\.txt does not exist"):
        MCJA().class_order(lists)


def test_the_tool_reorders_the_classifier_and_goes_back(convert, lists):
    torch.manual_seed(0)
    official, ours, back = (lists / name for name in ("official.pth", "ours.pth", "back.pth"))
    published = PublishedMCJA().state_dict()
    torch.save(published, official)
    status, printed, error = convert(official, ours, "--identities", lists)
    assert status == 0, error
    assert "classifier: from the published order of identities to this project's" in printed
    rows = torch.load(ours, weights_only=True)["model"]["heads.weight"]
    expected = dict(zip([*TRAIN, *VAL], published["classifier.weight"]))
    assert all(torch.equal(row, expected[pid]) for row, pid in zip(rows, sorted(expected)))

    status, printed, _ = convert("--reverse", ours, back, "--identities", lists)
    assert "classifier: from this project's order of identities to the published" in printed
    returned = torch.load(back, weights_only=True)
    assert torch.equal(returned["classifier.weight"], published["classifier.weight"])


def test_the_head_pools_without_a_clamp(config):
    model = build_model(config()).eval()
    features = torch.rand(2, 64, 4, 2) * 1e-8
    plain = ((features.double() ** 3).mean(dim=(2, 3)) + 1e-12) ** (1 / 3)
    torch.testing.assert_close(model.heads.pool_layer(features)[..., 0, 0], plain.float())
