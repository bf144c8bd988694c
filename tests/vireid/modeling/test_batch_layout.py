"""A batch in which an adapter adds two branches of each image: its order, its routes, its losses."""

import pytest
import torch
from fastreid.modeling import build_model
from torch import nn

from configs import tiny_config
from vireid.modality import Modality
from vireid.modeling.batch_layout import BatchLayout, of_each_image
from vireid.modeling.two_stream import ModalityRoute
from vireid.registries import ADAPTER_REGISTRY

MODALITIES = torch.tensor([0, 0, 1, 1, 1, 2, 2])
SOURCES = torch.tensor([[1, 2], [0, 4]])
MASK = torch.tensor([[[[True, False], [False, True]]], [[[False, False], [True, False]]]])
BRANCHES = torch.arange(3).repeat_interleave(7)
IMAGES = torch.arange(7).repeat(3)


@pytest.fixture
def layout():
    layout = BatchLayout(branches=3)
    layout.set(MODALITIES, SOURCES, MASK)
    return layout


def test_features_are_ordered_by_modality_then_by_branch_and_back(layout):
    of_images, of_branches = layout.by_modality(IMAGES), layout.by_modality(BRANCHES)
    rows = list(zip(MODALITIES[of_images].tolist(), of_branches.tolist(), of_images.tolist()))
    assert rows == sorted(rows) and len(set(rows)) == 21
    assert torch.equal(layout.by_branch(of_images), IMAGES)
    assert torch.equal(layout.by_branch(of_branches), BRANCHES)


def test_a_batch_of_one_modality_is_left_in_its_order():
    layout = BatchLayout(branches=3)
    layout.set(torch.tensor([1, 1]))
    assert layout.by_modality(torch.arange(6)).tolist() == layout.by_branch(torch.arange(6)).tolist()


def test_the_entries_of_a_batch_follow_its_branches(layout):
    batch = {
        "targets": torch.tensor([5, 6, 6, 5, 5, 6, 5]),
        "modalities": MODALITIES,
        "weather": torch.ones(2),
    }
    expanded = layout.expand({**batch, "mixed_sources": SOURCES, "mixed_mask": MASK})
    of_images = layout.by_modality(IMAGES)
    assert torch.equal(expanded["targets"], batch["targets"][of_images])
    assert torch.equal(expanded["modalities"], MODALITIES[of_images])
    assert torch.equal(expanded["branches"], layout.by_modality(BRANCHES))
    assert torch.equal(expanded["weather"], batch["weather"])
    mixed = torch.nonzero(expanded["modalities"] == Modality.MIXED).flatten()
    assert len(expanded["mixed_sources"]) == len(mixed)
    for row, sources in zip(mixed, expanded["mixed_sources"]):
        assert of_images[sources].tolist() == SOURCES[of_images[row] - 5].tolist()
        assert set(expanded["branches"][sources].tolist()) == {int(expanded["branches"][row])}


@pytest.mark.parametrize("mixed_stem", ["visible", "own", "patches"])
def test_a_route_sends_each_branch_of_an_image_where_the_image_goes(layout, mixed_stem):
    alone = BatchLayout()
    alone.set(MODALITIES, SOURCES, MASK)
    module = nn.Conv2d(2, 3, 1)
    route, expected = (ModalityRoute(module, each, mixed_stem) for each in (layout, alone))
    expected.load_state_dict(route.state_dict())
    for copy, other in zip(route.children(), expected.children()):
        other.load_state_dict(nn.init.normal_(copy.weight) is not None and copy.state_dict())
    x = torch.randn(21, 2, 4, 4)
    torch.testing.assert_close(route(x), torch.cat([expected(part) for part in x.chunk(3)]))
    torch.testing.assert_close(route(x[:7]), expected(x[:7]))
    with pytest.raises(RuntimeError, match="got 14 images where the batch layout has"):
        route(x[:14])


def test_the_norm_of_a_route_sees_all_branches_of_its_modality(layout):
    layout.set(MODALITIES[:5])
    route = ModalityRoute(nn.BatchNorm2d(2, momentum=1.0), layout).train()
    x = torch.randn(15, 2, 1, 1)
    route(x)
    visible = x.view(3, 5, 2)[:, :2].flatten(0, 1)
    torch.testing.assert_close(route.visible.running_mean, visible.mean(dim=0))


def test_an_embedding_is_that_of_its_branches_joined():
    embeddings = torch.arange(12.0).view(6, 2)
    joined = [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]]
    assert of_each_image(embeddings, 3).tolist() == joined
    assert of_each_image(embeddings, 1) is embeddings


@pytest.fixture
def doubling():
    """An adapter that adds the negative of each map of stage 2."""

    class Negative(nn.Module):
        def forward(self, x):
            return torch.cat([x, -x])

    @ADAPTER_REGISTRY.register()
    class Doubling:
        @classmethod
        def from_config(cls, cfg):
            return cls()

        def insert(self, backbone, builder):
            backbone.layer2.add_module("doubling", Negative())

    yield "Doubling"
    del ADAPTER_REGISTRY._parts["Doubling"]


@pytest.mark.parametrize("specific", [["auto"], ["conv1", "bn1", "layer1", "layer2", "layer3"]])
def test_any_adapter_may_add_branches_to_any_recipe(doubling, specific):
    torch.manual_seed(0)
    cfg = tiny_config(
        "PMCM/configs/sysu.yml",
        MODEL__ADAPTERS=[doubling],
        MODEL__TWO_STREAM__SPECIFIC=specific,
        MODEL__HEADS__PARTS__COUNT=2,
    )
    model = build_model(cfg)
    batch = {
        "images": torch.randint(0, 256, (6, 3, 64, 32), dtype=torch.uint8),
        "targets": torch.tensor([0, 1, 0, 1, 2, 2]),
        "camids": torch.zeros(6, dtype=torch.int64),
        "modalities": torch.tensor([1, 0, 0, 1, 0, 1]),
    }
    given = {}
    model.weighted_losses.register_forward_pre_hook(lambda module, inputs: given.update(inputs[0]))
    losses = model.train()(batch)
    assert all(bool(torch.isfinite(loss)) for loss in losses.values()) and len(losses) == 5
    assert given["sizes"] == (6, 6, 6) and given["part_features"].shape[:2] == (2, 18)
    assert len(given["mixed_sources"]) == 6 and 0 <= float(model.measured["cls_accuracy"]) <= 1
    model.eval()
    with torch.no_grad():
        embeddings = model(batch)
        alone = torch.cat([model({key: value[i : i + 1] for key, value in batch.items()}) for i in range(6)])
    torch.testing.assert_close(embeddings, alone, rtol=1e-4, atol=1e-4)
    assert len(embeddings) == 6 and embeddings.shape[1] == 2 * 3 * 64
