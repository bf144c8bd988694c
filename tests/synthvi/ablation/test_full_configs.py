"""The shipped recipes on synthvi-1.0, at their own sizes, on PyTorch's meta device: no GPU and no numbers."""

import pytest
import torch

from vireid.config.rules import leaves
from vireid.engine import full_config
from vireid.engine.models import build_model
from vireid.engine.step import OptimizationStep, build_optimizer

IDENTITIES = 395
SIZES = {
    **dict.fromkeys(("agw", "pmcm", "combined", "caj"), (288, 144)),
    "mcja": (384, 192),
    "deen": (384, 144),
}
CHANGED = {"DATASETS.SYSUMM01.TRAIN_ON": "train", "TEST.EVAL_PERIOD": -1}


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_a_step_of_the_whole_network_and_batch_fits_together(name, size):
    cfg = full_config(f"synthvi/full_{name}", ["MODEL.DEVICE", "cpu", "SOLVER.AMP.ENABLED", "False"])
    cfg.MODEL.BACKBONE.PRETRAIN, cfg.MODEL.HEADS.NUM_CLASSES = False, IDENTITIES
    model = build_model(cfg).to("meta").train()
    cfg.MODEL.DEVICE = "meta"
    count = cfg.SOLVER.IMS_PER_BATCH
    losses = OptimizationStep(model, None, build_optimizer(cfg, model), cfg)(
        {
            "images": torch.zeros(count, 3, *cfg.INPUT.SIZE_TRAIN, dtype=torch.uint8),
            "targets": torch.arange(8).repeat(count // 8),
            "camids": torch.zeros(count, dtype=torch.long),
            "modalities": torch.arange(2).repeat_interleave(count // 2),
        }
    )
    assert tuple(cfg.INPUT.SIZE_TRAIN) == size
    assert len(losses) == len(cfg.MODEL.LOSSES.NAME) and all(loss.is_meta for loss in losses.values())
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert 23e6 < sum(p.numel() for p in model.parameters()) < 60e6  # a ResNet-50 has 23.5 million


@pytest.mark.parametrize(
    ("name", "shipped"), [("agw", "vireid"), *((m, m) for m in ("pmcm", "mcja", "caj", "deen"))]
)
def test_a_config_is_the_shipped_recipe_without_the_validation_identities(name, shipped):
    before = dict(leaves(full_config(f"{shipped}/sysu")))
    changed = {k: v for k, v in leaves(full_config(f"synthvi/full_{name}")) if v != before[k]}
    assert changed.pop("OUTPUT_DIR") == f"logs/synthvi/full_{name}"
    if name == "mcja":  # it has these already
        assert changed == CHANGED
    else:
        assert changed == {**CHANGED, "DATASETS.SYSUMM01.GALLERY": "official", "TEST.RERANKER": "MSER"}
