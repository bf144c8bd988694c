"""MCJA's two recipes trained on generated data, and its parts in the recipe of PMCM.

MCJA on SYSU-MM01 is trained and its figures are recomputed in tests/vireid/engine/test_training.py.
"""

import pytest
import torch

from configs import tiny_config
from mcja import CrossModalityRetrievalLoss, ModalityDistributionAdapter
from mcja.vimc import VIMC
from pmcm.mixing import PatchMix
from training import train
from vireid.engine.models import build_model
from vireid.engine.step import OptimizationStep, build_optimizer

PMCM_LOSSES = ["CrossEntropyLoss", "TripletLoss", "CenterToCenterLoss", "PartAlignmentLoss"]
PMCM = "PMCM/configs/sysu.yml"
OPTIONS = {
    "DATALOADER__NUM_INSTANCE": 4,
    "SOLVER__IMS_PER_BATCH": 16,
    "DATALOADER__MAX_BATCHES_PER_EPOCH": 3,
    "DATASETS__TRIALS": 1,
}


def adapters(model):
    return [name for name, module in model.named_modules() if isinstance(module, ModalityDistributionAdapter)]


@pytest.mark.parametrize("version", ["sysu", "sysu_v1"])
def test_each_version_has_its_parts_and_moves_every_tensor(datasets, tmp_path, version):
    run = train(tmp_path, f"MCJA/configs/{version}.yml", **OPTIONS)
    journal = version == "sysu"
    assert run.unmoved == []
    assert run.losses == {"loss_ce", "loss_cmr"}
    assert adapters(run.trainer.model) == (
        ["backbone.layer2.0.mda", "backbone.layer3.0.mda"] if journal else []
    )
    assert run.trainer.model.modality_specific == ()
    assert any("MSER" in row for row in run.results["SYSUMM01"]) == journal


def test_adapters_take_the_number_of_maps_of_each_dataset():
    for layout, maps in (("sysu", 2), ("regdb", 12), ("llcm", 2)):
        model = build_model(tiny_config(f"MCJA/configs/{layout}.yml"))
        assert {model.get_submodule(name).sc_conv.out_channels for name in adapters(model)} == {maps}


def test_bf16_in_channels_last_follows_fp32():
    """One step on the same batch from the same weights."""
    generator = torch.Generator().manual_seed(1)
    batch = {
        "images": torch.randint(0, 256, (16, 3, 64, 32), dtype=torch.uint8, generator=generator),
        "targets": torch.arange(16) % 4,
        "camids": torch.zeros(16, dtype=torch.long),
        "modalities": torch.arange(16) // 8,
    }
    losses = []
    for low in (False, True):
        torch.manual_seed(0)
        options = {"SOLVER__AMP__ENABLED": low, "SOLVER__AMP__DTYPE": "bf16", "MODEL__CHANNELS_LAST": low}
        cfg = tiny_config("MCJA/configs/sysu.yml", **options)
        model = build_model(cfg).train()
        step = OptimizationStep(model, None, build_optimizer(cfg, model), cfg)
        losses.append({name: float(loss) for name, loss in step(batch).items()})
    assert set(losses[0]) == {"loss_ce", "loss_cmr"}
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
    assert losses[1] != losses[0]


def test_patch_mixing_with_the_cmr_loss(datasets, tmp_path):
    losses = [*PMCM_LOSSES, "CrossModalityRetrievalLoss"]
    run = train(tmp_path, PMCM, MODEL__LOSSES__NAME=losses, TEST__EVAL_PERIOD=-1, **OPTIONS)
    assert run.unmoved == []
    model = run.trainer.model
    assert isinstance(model.batch_transforms[0], PatchMix)
    assert isinstance(model.weighted_losses["CrossModalityRetrievalLoss"], CrossModalityRetrievalLoss)
    assert run.losses == {"loss_ce", "loss_tri", "loss_c2c", "loss_part", "loss_cmr"}


def test_every_part_of_mcja_in_pmcm(datasets, tmp_path):
    """Patch mixing with a third stem, CMR loss, MDA, VIMC and MSER at once."""
    run = train(
        tmp_path,
        PMCM,
        MODEL__LOSSES__NAME=[*PMCM_LOSSES, "PatchMixedModalityLoss", "CrossModalityRetrievalLoss"],
        MODEL__ADAPTERS=["MDA"],
        MODEL__TWO_STREAM__MIXED_STEM="own",
        INPUT__VISIBLE_TRANSFORMS=["VIMC", "PadCrop", "Flip", "RandomErasing"],
        TEST__RERANKER="MSER",
        **OPTIONS,
    )
    model = run.trainer.model
    assert run.unmoved == []
    parameters = dict(model.named_parameters())
    assert (
        "backbone.conv1.mixed.weight" in parameters and "backbone.layer2.0.mda.sc_conv.weight" in parameters
    )
    assert {"loss_pmml", "loss_cmr"} <= run.losses
    (visible,), (infrared,) = run.trainer.data_loader.dataset.views.values()
    assert isinstance(visible[0], VIMC) and not any(isinstance(kind, VIMC) for kind in infrared)
    rows = run.results["SYSUMM01"]
    plain = {name: figures for name, figures in rows.items() if " + MSER" not in name}
    assert len(plain) == 4
    assert all(rows[f"{name} + MSER"] != figures for name, figures in plain.items())
