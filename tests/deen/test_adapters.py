"""DEEN's modules in backbones, and what the model makes of an image's branches."""

import copy

import pytest
import torch
from fastreid.modeling import build_model
from torch import nn

from configs import tiny_config
from deen import DiverseEmbeddingExpansion, MultistageAggregation
from vireid.errors import ConfigError
from vireid.modeling.adapters import insert_adapters
from vireid.modeling.backbones import build_backbone, probe_feature_map
from vireid.visualize.attention import look_maps

SYSU = "DEEN/configs/sysu.yml"
WHOLE_STAGES = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]


def places(model, kind):
    return [name for name, module in model.named_modules() if isinstance(module, kind)]


@pytest.mark.parametrize(
    ("recipe", "aggregated", "expanded", "channels"),
    [
        ("sysu", ["layer1.2", "layer2.3", "layer3.5"], "layer3.5", 2048),
        ("regdb", ["layer1.2", "layer2.3"], "layer2.3", 1024),
    ],
)
def test_a_resnet_50_has_the_published_modules_at_the_published_places(
    recipe, aggregated, expanded, channels
):
    options = {"MODEL__BACKBONE__NAME": "build_resnet_backbone", "MODEL__BACKBONE__DEPTH": "50x"}
    cfg = tiny_config(f"DEEN/configs/{recipe}.yml", **options)
    backbone = build_backbone(cfg)
    insert_adapters(cfg, backbone)
    assert places(backbone, MultistageAggregation) == [f"{name}.mfa" for name in aggregated]
    assert places(backbone, DiverseEmbeddingExpansion) == [f"{expanded}.dee"]
    strides = [backbone.get_submodule(f"{name}.mfa").CNL.phi.stride[0] for name in aggregated]
    assert strides == [1, 2, 2][: len(aggregated)]
    found = probe_feature_map(backbone, (64, 32))
    assert (found.channels, found.branches) == (channels, 3)


def random_batch(count=6):
    generator = torch.Generator().manual_seed(0)
    return {
        "images": torch.randint(0, 256, (count, 3, 64, 32), dtype=torch.uint8, generator=generator),
        "targets": torch.arange(count) % 3,
        "camids": torch.zeros(count, dtype=torch.int64),
        "modalities": torch.arange(count) // 3 % 2,
    }


def at_work(model):
    """MFA starts as the identity: let it add something."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, MultistageAggregation):
            for block in (module.CNL, module.PNL):
                nn.init.uniform_(block.W[1].weight, 0.01, 0.02)
    return model


@pytest.mark.parametrize("specific", [["auto"], [], WHOLE_STAGES])
def test_the_embedding_of_an_image_does_not_depend_on_its_batch(specific):
    """Each modality's copies of the blocks hand the maps before their stages on to each other."""
    torch.manual_seed(0)
    model = at_work(build_model(tiny_config(SYSU, MODEL__TWO_STREAM__SPECIFIC=specific))).eval()
    batch = random_batch()
    with torch.no_grad():
        embeddings = model(batch)
        alone = torch.cat([model({key: value[i : i + 1] for key, value in batch.items()}) for i in range(6)])
        backwards = model({key: value.flip(0) for key, value in batch.items()}).flip(0)
    assert embeddings.shape == (6, 384)
    torch.testing.assert_close(alone, embeddings, atol=1e-5, rtol=0)
    torch.testing.assert_close(backwards, embeddings, atol=1e-5, rtol=0)
    parts = embeddings.view(6, 6, 64)
    torch.testing.assert_close(parts.norm(dim=2), torch.ones(6, 6))
    first, second = embeddings[0], embeddings[1]
    cosine = torch.cosine_similarity(first, second, dim=0)
    of_parts = torch.cosine_similarity(parts[0], parts[1], dim=1)
    torch.testing.assert_close(cosine, of_parts.mean())


def test_a_copy_of_the_model_goes_through_its_own_modules():
    model = at_work(build_model(tiny_config(SYSU, MODEL__TWO_STREAM__SPECIFIC=WHOLE_STAGES))).eval()
    twin = copy.deepcopy(model)
    with torch.no_grad():
        before = twin(random_batch())
        for module in model.modules():
            if isinstance(module, MultistageAggregation):
                nn.init.zeros_(module.CNL.W[1].weight)
        assert torch.equal(twin(random_batch()), before)
        assert not torch.equal(model(random_batch()), before)


def test_a_forward_pass_that_was_broken_off_leaves_nothing_behind():
    model = at_work(build_model(tiny_config(SYSU))).eval()
    with torch.no_grad():
        expected = model(random_batch())
        block = model.backbone.layer2[0].register_forward_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            model(random_batch(3))
        block.remove()
        assert torch.equal(model(random_batch()), expected)


def test_a_map_of_attention_is_of_the_image_and_its_branches():
    model = at_work(build_model(tiny_config(SYSU))).eval()
    maps, _ = look_maps(model, random_batch(), "grad-cam")
    assert maps.shape == (6, 64, 32) and float(maps.min()) >= 0 and float(maps.max()) == 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"MODEL__ADAPTERS": ["DEE", "MFA"]},
            "MODEL.ADAPTERS has DEE before MFA, both after stage 3: exchange them",
        ),
        (
            {
                "MODEL__ADAPTERS": ["WithoutLastStage"],
                "MODEL__BACKBONE__NAME": "build_osnet_backbone",
                "MODEL__BACKBONE__DEPTH": "x0_25",
            },
            "WithoutLastStage empties layer4, which build_osnet_backbone does not have",
        ),
        (
            {"MODEL__ADAPTERS": ["PaddedMaxPool"]},
            "CenterPairMiningLoss needs branches, which MODEL.HEADS.NAME, MODEL.ADAPTERS and .* do not give",
        ),
    ],
)
def test_what_cannot_be_is_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        build_model(tiny_config(SYSU, **overrides)).train()(random_batch())
