"""Each pooling of the toolkit in each head, and the values of MODEL.HEADS that cannot be."""

import pytest
import torch
from fastreid.layers import pooling
from fastreid.modeling import build_model

from backbone_matrix import Variant, embed, random_batch, two_stream
from vireid.errors import ConfigError
from vireid.modeling.backbones import probe_feature_map
from vireid.modeling.checks import check_model
from vireid.modeling.meta_arch import build_head, with_feature_map

SMALL = Variant("small_resnet", "10x")
WITHOUT = ("Identity", "Flatten")  # pool nothing


def model_of(method, variant=SMALL, **heads):
    torch.manual_seed(0)
    return build_model(
        variant.config(method, **{f"MODEL__HEADS__{key}": value for key, value in heads.items()})
    )


@pytest.mark.parametrize("name", [name for name in pooling.__all__ if name not in WITHOUT])
@pytest.mark.parametrize("method", ["baseline", "PMCM"])
def test_each_pooling_pools_the_map_and_its_stripes_as_its_definition_says(name, method):
    definitions = {
        "GlobalAvgPool": lambda x: x.mean((2, 3)),
        "FastGlobalAvgPool": lambda x: x.mean((2, 3)),
        "GlobalMaxPool": lambda x: x.amax((2, 3)),
        "AdaptiveAvgMaxPool": lambda x: x.mean((2, 3)) + x.amax((2, 3)),
        "ClipGlobalAvgPool": lambda x: x.mean((2, 3)).clamp(0, 1),
        "GeneralizedMeanPooling": lambda x: x.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3),
        "GeneralizedMeanPoolingP": lambda x: x.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3),
    }
    model = model_of(method, POOL_LAYER=name).train()
    features = torch.rand(4, 64, 4, 2) * 2
    outputs = model.heads(features, torch.tensor([0, 1, 0, 1]))
    torch.testing.assert_close(outputs["features"], definitions[name](features))
    if method == "PMCM":
        for part, rows in enumerate((features[:, :, :2], features[:, :, 2:])):
            torch.testing.assert_close(outputs["part_features"][part], definitions[name](rows))
    sum(model(random_batch(SMALL.size)).values()).backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize("name", WITHOUT)
@pytest.mark.parametrize("method", ["baseline", "PMCM"])
def test_no_pooling_needs_a_map_of_one_place(name, method):
    with pytest.raises(ConfigError, match=f"POOL_LAYER is {name}, which pools nothing, but .* 2x2 places"):
        model_of(method, POOL_LAYER=name)


@pytest.mark.parametrize("name", WITHOUT)
def test_a_token_needs_no_pooling(name):
    variant = Variant("vit", "small")
    model = two_stream(variant)
    model.layout.set(torch.tensor([0]))  # of the image that is probed
    feature_map = probe_feature_map(model.backbone, variant.size)
    tokens = torch.randn(3, feature_map.channels, 1, 1)
    embeddings = []
    for pool_layer in (name, "GlobalAvgPool"):
        cfg = with_feature_map(variant.config("baseline", MODEL__HEADS__POOL_LAYER=pool_layer), feature_map)
        torch.manual_seed(0)
        embeddings.append(build_head(cfg, feature_map).eval()(tokens))
    torch.testing.assert_close(*embeddings)


@pytest.mark.parametrize("in_embedding", [False, True])
@pytest.mark.parametrize("method", ["baseline", "PMCM"])
def test_the_embedding_dimension(method, in_embedding):
    model = model_of(method, EMBEDDING_DIM=24, PARTS__IN_EMBEDDING=in_embedding)
    stripes = 2 if method == "PMCM" and in_embedding else 0
    assert embed(model, SMALL.size).shape == (8, (1 + stripes) * 24)
    sum(model.train()(random_batch(SMALL.size)).values()).backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_a_stripe_is_reduced_by_its_own_convolution():
    head = model_of("PMCM", EMBEDDING_DIM=24, PARTS__IN_EMBEDDING=True).heads.eval()
    features = torch.rand(2, 64, 2, 2)
    stripe = features[:, :, 1:].pow(3).mean((2, 3)).pow(1 / 3)
    reduced = stripe @ head.part_necks[1][0].weight[:, :, 0, 0].T / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(head(features)[:, 48:], torch.nn.functional.normalize(reduced))


def test_group_norm_on_an_embedding_that_does_not_divide_is_refused():
    with pytest.raises(
        ConfigError, match=r"HEADS\.NORM GN makes 32 groups of channels, and the embedding has 24"
    ):
        model_of("baseline", NORM="GN", EMBEDDING_DIM=24)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("POOL_LAYER", "GlobalAvgPol", "POOL_LAYER is 'GlobalAvgPol'; did you mean GlobalAvgPool"),
        ("POOL_LAYER", "torch", "POOL_LAYER is 'torch'"),  # a name in the toolkit's module, not a pooling
        ("CLS_LAYER", "ArcFace", "CLS_LAYER is 'ArcFace'.*ArcSoftmax"),
    ],
)
def test_values_of_the_head_that_cannot_be_are_refused(key, value, message):
    with pytest.raises(ConfigError, match=message):
        check_model(SMALL.config("baseline", **{f"MODEL__HEADS__{key}": value}))
