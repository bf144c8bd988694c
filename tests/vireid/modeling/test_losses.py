"""The toolkit's losses under our contract."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from configs import tiny_config
from vireid.errors import ConfigError
from vireid.modeling.losses import WeightedLosses, build_losses
from vireid.modeling.losses.toolkit import CrossEntropyLoss, FocalLoss
from vireid.registries import LOSS_REGISTRY


def test_cross_entropy_without_smoothing_is_torchs_mean():
    """The toolkit's divides by the number of losses that are not zero: two of these four are."""
    logits = torch.tensor([[200.0, 0, 0], [0, 200, 0], [1, 2, 3], [3, 2, 1]], requires_grad=True)
    targets = torch.tensor([0, 1, 2, 2])
    loss = CrossEntropyLoss()(logits, targets)
    assert loss.item() == pytest.approx(F.cross_entropy(logits, targets).item())
    single = [F.cross_entropy(logits[i : i + 1], targets[i : i + 1]).item() for i in range(4)]
    assert single[:2] == [0, 0] and loss.item() == pytest.approx(sum(single) / 4)


def test_smoothing_is_the_toolkits():
    from fastreid.modeling.losses import cross_entropy_loss

    torch.manual_seed(0)
    logits, targets = torch.randn(6, 5), torch.arange(6) % 5
    expected = cross_entropy_loss(logits, targets, 0.1, 0.2)
    torch.testing.assert_close(CrossEntropyLoss(0.1)(logits, targets), expected)


class Constant(nn.Module):
    config_key = "CE"

    def __init__(self, value=1.0):
        super().__init__()
        self.value = value

    @classmethod
    def from_config(cls, cfg):
        return cls()

    def forward(self, targets):
        return torch.tensor(self.value)


class Seen(nn.Module):
    """Notes what it is given."""

    config_key = "TRI"

    def forward(self, embeddings, part_logits, mixed_sources, targets, sizes):
        self.given = (embeddings, part_logits, mixed_sources, targets, sizes)
        return embeddings.sum()


def test_a_loss_without_mixed_images_is_given_the_entries_of_the_others_alone():
    alone, beside = Seen(), Seen()
    losses = WeightedLosses(
        {"Alone": alone, "Beside": beside}, {"Alone": 1.0, "Beside": 1.0}, without_mixed=["Alone"]
    )
    inputs = {
        "embeddings": torch.randn(5, 4),
        "part_logits": torch.randn(5, 5, 3),  # as many stripes as images
        "mixed_sources": torch.tensor([[0, 2], [1, 3]]),
        "targets": torch.tensor([0, 1, 0, 1, 0]),
        "modalities": torch.tensor([0, 0, 1, 1, 2]),
    }
    losses(inputs)
    embeddings, part_logits, sources, targets, sizes = alone.given
    assert torch.equal(embeddings, inputs["embeddings"][:4])
    assert torch.equal(part_logits, inputs["part_logits"][:, :4])
    assert torch.equal(sources, inputs["mixed_sources"])
    assert (targets.tolist(), sizes) == ([0, 1, 0, 1], (2, 2, 0))
    assert torch.equal(beside.given[0], inputs["embeddings"]) and beside.given[4] == (2, 2, 1)


def test_the_loss_of_mixed_images_cannot_be_kept_from_them():
    name = "PatchMixedModalityLoss"
    cfg = tiny_config("PMCM/configs/sysu.yml", MODEL__LOSSES__WITHOUT_MIXED=[name])
    with pytest.raises(ConfigError, match=f"WITHOUT_MIXED names {name}, which compares mixed images"):
        build_losses(cfg)


def test_the_focal_loss_is_the_toolkits_and_finite_where_that_is_not():
    from fastreid.modeling.losses import focal_loss

    torch.manual_seed(0)
    logits, targets = torch.randn(6, 5, requires_grad=True), torch.arange(6) % 5
    torch.testing.assert_close(FocalLoss(0.25, 2.0)(logits, targets), focal_loss(logits, targets, 0.25, 2.0))
    large = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    loss = FocalLoss(0.25, 2.0)(large, torch.tensor([0, 0]))
    loss.backward()
    assert loss.item() == pytest.approx(25)
    assert large.grad.isfinite().all()


def test_a_loss_that_is_not_there_cannot_be_kept_from_mixed_images():
    with pytest.raises(
        ConfigError, match="WITHOUT_MIXED names FocalLoss.*it has CrossEntropyLoss, TripletLoss"
    ):
        build_losses(tiny_config(MODEL__LOSSES__WITHOUT_MIXED=["FocalLoss"]))


def test_two_losses_of_one_node_both_count(monkeypatch):
    monkeypatch.setitem(LOSS_REGISTRY._parts, "Constant", Constant)
    losses = build_losses(tiny_config(MODEL__LOSSES__NAME=["CrossEntropyLoss", "Constant"]))
    logits, targets = torch.randn(4, 5), torch.arange(4)
    found = losses({"logits": logits, "targets": targets})
    assert set(found) == {"loss_crossentropyloss", "loss_constant"}
    assert sum(found.values()).item() == pytest.approx(F.cross_entropy(logits, targets).item() + 1)


def test_a_loss_alone_in_its_node_is_named_after_it():
    losses = WeightedLosses({"First": Constant(2.0)}, {"First": 0.5})
    assert losses({"targets": torch.zeros(1)}) == {"loss_ce": torch.tensor(1.0)}
