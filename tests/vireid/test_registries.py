import pytest
import torch
from fastreid.modeling.heads import REID_HEADS_REGISTRY
from torch import nn

from configs import tiny_config
from vireid import registries
from vireid.errors import ConfigError
from vireid.modeling.losses import WeightedLosses, build_losses
from vireid.registries import LOSS_REGISTRY, Registry, find


def test_a_part_is_found_under_the_name_of_its_class():
    registry = Registry("camera")

    @registry.register()
    class Lens:
        pass

    assert find(registry, "Lens", "MODEL.CAMERA") is Lens
    assert dict(registry) == {"Lens": Lens} and len(registry) == 1


def test_two_parts_of_one_name_are_refused_and_the_first_stays():
    registry = Registry("camera")
    first = registry.register()(type("Lens", (), {}))
    with pytest.raises(ValueError, match="there is already a camera named Lens"):
        registry.register()(type("Lens", (), {}))
    assert registry["Lens"] is first


def test_an_unknown_name_is_answered_with_key_name_nearest_and_all():
    registry = Registry("camera")
    for name in ("Zoom", "Lens"):
        registry.register()(type(name, (), {}))
    with pytest.raises(ConfigError) as error:
        find(registry, "Lenz", "MODEL.CAMERA")
    assert str(error.value) == "MODEL.CAMERA names 'Lenz'; did you mean Lens? known: Lens, Zoom"
    with pytest.raises(ConfigError) as error:
        find(registry, "Flash", "MODEL.CAMERA")
    assert str(error.value) == "MODEL.CAMERA names 'Flash'; known: Lens, Zoom"


def test_the_toolkits_registries_are_searched_alike():
    assert find(REID_HEADS_REGISTRY, "EmbeddingHead", "MODEL.HEADS.NAME").__name__ == "EmbeddingHead"
    with pytest.raises(
        ConfigError, match=r"MODEL.HEADS.NAME names 'EmbedHead'; did you mean EmbeddingHead\?"
    ):
        find(REID_HEADS_REGISTRY, "EmbedHead", "MODEL.HEADS.NAME")


def test_every_part_is_built_from_a_config():
    kinds = [value for name, value in vars(registries).items() if name.endswith("_REGISTRY")]
    kinds.remove(registries.PUBLISHED_REGISTRY)  # of formats of files, which no config names
    parts = [part for kind in kinds for part in kind.values()]
    assert len(kinds) == 6 and len(parts) > 20
    assert [part.__name__ for part in parts if not callable(getattr(part, "from_config", None))] == []


class Squares(nn.Module):
    """A second loss of the cross-entropy's node."""

    config_key = "CE"

    @classmethod
    def from_config(cls, cfg):
        return cls()

    def forward(self, logits):
        return logits.square().sum()


def test_two_losses_of_one_node_both_count(monkeypatch):
    monkeypatch.setitem(LOSS_REGISTRY._parts, "Squares", Squares)
    cfg = tiny_config(
        MODEL__LOSSES__NAME=["CrossEntropyLoss", "Squares", "TripletLoss"], MODEL__LOSSES__CE__SCALE=2.0
    )
    losses = build_losses(cfg)
    logits, targets = torch.tensor([[1.0, 2.0], [3.0, 1.0]]), torch.tensor([0, 1])
    values = losses({"logits": logits, "targets": targets, "embeddings": logits})
    assert set(values) == {"loss_crossentropyloss", "loss_squares", "loss_tri"}
    assert values["loss_squares"] == 2 * (1 + 4 + 9 + 1)
    entropy = nn.functional.cross_entropy(logits, targets)
    torch.testing.assert_close(values["loss_crossentropyloss"], 2 * entropy)


def test_a_loss_alone_in_its_node_is_named_after_the_node():
    losses = {"First": Squares(), "Second": Squares()}
    assert [*WeightedLosses(losses, {"First": 1.0, "Second": 0.0}).value_names.values()] == ["loss_ce"]
