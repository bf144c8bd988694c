import pytest
import torch
from fastreid.modeling import build_model
from torch.nn import functional as F

from configs import tiny_config
from pmcm.part_head import stripes
from vireid.errors import ConfigError


def pmcm_model(**overrides):
    torch.manual_seed(0)
    overrides = {"MODEL__HEADS__PARTS__COUNT": 2, **overrides}
    return build_model(tiny_config("PMCM/configs/sysu.yml", **overrides))


def batch_of(modalities, classes=3):
    count = len(modalities)
    return {
        "images": torch.randint(0, 256, (count, 3, 64, 32), dtype=torch.uint8),
        "targets": torch.arange(count) % classes,
        "camids": torch.zeros(count, dtype=torch.long),
        "modalities": torch.tensor(modalities),
    }


def test_stripes_are_those_of_adaptive_pooling():
    for height in (6, 8, 9, 18):
        features = torch.randn(2, 3, height, 4)
        pooled = torch.stack([stripe.mean(dim=(2, 3)) for stripe in stripes(features, 6)], dim=2)
        torch.testing.assert_close(pooled, F.adaptive_avg_pool2d(features, (6, 1))[..., 0])


def test_part_logits_are_those_of_each_stripe_alone():
    head = pmcm_model().heads.train()
    features = torch.rand(4, 64, 4, 2)
    outputs = head(features, torch.tensor([0, 1, 2, 0]))
    for part, stripe in enumerate((features[:, :, :2], features[:, :, 2:])):
        pooled = head.pool_layer(stripe)[..., 0, 0]
        torch.testing.assert_close(outputs["part_features"][part], pooled)
        neck = (pooled - pooled.mean(0)) / (pooled.var(0, unbiased=False) + 1e-5).sqrt()
        torch.testing.assert_close(
            outputs["part_logits"][part], neck @ head.part_weights[part].T, rtol=1e-3, atol=1e-4
        )


def test_the_embedding_is_global_alone_or_with_the_stripes():
    batch = batch_of([0, 1])
    alone = pmcm_model(MODEL__HEADS__PARTS__IN_EMBEDDING=False).eval()(batch)
    joined = pmcm_model().eval()(batch)
    assert alone.shape == (2, 64)
    assert joined.shape == (2, 3 * 64)
    torch.testing.assert_close(joined[:, :64], F.normalize(alone))


def test_pmcm_gives_all_losses_and_moves_every_tensor():
    model = pmcm_model().train()
    losses = model(batch_of([0, 0, 0, 1, 1, 1]))
    assert set(losses) == {"loss_ce", "loss_tri", "loss_c2c", "loss_part", "loss_pmml"}
    sum(losses.values()).backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_mixed_images_may_have_a_stem_of_their_own():
    model = pmcm_model().train()
    sum(model(batch_of([0, 0, 1, 1], classes=2)).values()).backward()
    assert model.backbone.conv1.mixed.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"MODEL__HEADS__PARTS__COUNT": 9}, "PARTS.COUNT is 9.*has 4 rows.*set it to 1..4"),
        ({"INPUT__SIZE_TRAIN": [72, 32]}, "SIZE_TRAIN 72x32 does not divide into patches"),
    ],
)
def test_settings_that_cannot_be_are_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        pmcm_model(**overrides)
