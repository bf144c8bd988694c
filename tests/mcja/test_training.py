"""MCJA trained and evaluated on generated data, and its parts in the recipe of PMCM."""

import json
from argparse import Namespace

import pytest
import torch

from mcja import CrossModalityRetrievalLoss, ModalityDistributionAdapter
from mcja.vimc import VIMC
from pmcm.mixing import PatchMix
from vireid.engine import VIReIDTrainer, setup

PMCM_LOSSES = ["CrossEntropyLoss", "TripletLoss", "CenterToCenterLoss", "PartAlignmentLoss"]


@pytest.fixture
def trained(config, datasets, tmp_path):
    """A function that trains three steps, evaluates, and gives the trainer and its results."""

    def run(file, **overrides):
        overrides = {
            "OUTPUT_DIR": str(tmp_path / "run"),
            "MODEL__HEADS__NUM_CLASSES": 0,
            "SOLVER__MAX_EPOCH": 3,
            "SOLVER__WARMUP_EPOCHS": 0,
            "SOLVER__WARMUP_ITERS": 0,
            "TEST__EVAL_PERIOD": 3,
            "DATALOADER__NUM_INSTANCE": 4,
            "SOLVER__IMS_PER_BATCH": 16,
            "DATALOADER__MAX_BATCHES_PER_EPOCH": 1,
            "DATASETS__TRIALS": 1,
            "TEST__MSER__K1": 3,
            "TEST__MSER__K2": 2,
            **overrides,
        }
        if file.startswith("PMCM"):
            overrides["MODEL__HEADS__PARTS__COUNT"] = 2
        trainer = VIReIDTrainer(setup(config(file, **overrides), Namespace(config_file="", eval_only=False)))
        trainer.resume_or_load(resume=False)
        before = {name: value.clone() for name, value in trainer.model.named_parameters()}
        results = trainer.train()
        still = [
            name
            for name, value in trainer.model.named_parameters()
            if value.requires_grad and torch.equal(value, before[name])
        ]
        assert still == []
        return trainer, results

    return run


def losses_of(tmp_path):
    lines = (tmp_path / "run" / "metrics.json").read_text().splitlines()
    return {key for line in lines for key in json.loads(line) if key.startswith("loss_")}


@pytest.mark.parametrize("layout", ["sysu", "sysu_v1", "regdb", "llcm"])
def test_each_config_trains_and_evaluates(trained, tmp_path, layout):
    trainer, results = trained(f"MCJA/configs/{layout}.yml")
    (settings,) = results.values()
    assert len(settings) == (4 if layout.startswith("sysu") else 2)
    assert all(0 <= value <= 100 for metrics in settings.values() for value in metrics.values())
    adapters = [m for m in trainer.model.modules() if isinstance(m, ModalityDistributionAdapter)]
    assert len(adapters) == (0 if layout == "sysu_v1" else 2)
    assert losses_of(tmp_path) == {"loss_ce", "loss_cmr"}


@pytest.mark.parametrize("mser", [True, False])
@pytest.mark.parametrize("bf16", [True, False])
def test_with_and_without_mser_in_fp32_and_bf16(trained, mser, bf16):
    _, results = trained(
        "MCJA/configs/sysu.yml",
        TEST__RERANKER="MSER" if mser else "",
        SOLVER__AMP__ENABLED=bf16,
        MODEL__CHANNELS_LAST=bf16,
    )
    assert all(0 <= metrics["mAP"] <= 100 for metrics in results["SYSUMM01"].values())


def test_mser_changes_the_ranking_and_not_the_model(trained, tmp_path):
    (one, plain), (other, ranked) = (
        trained(
            "MCJA/configs/sysu.yml",
            TEST__RERANKER="MSER" if on else "",
            OUTPUT_DIR=str(tmp_path / f"mser_{on}"),
        )
        for on in (False, True)
    )
    assert plain != ranked
    same = zip(one.model.state_dict().values(), other.model.state_dict().values())
    assert all(torch.equal(first, second) for first, second in same)


def test_patch_mixing_with_the_cmr_loss(trained, tmp_path):
    trainer, _ = trained(
        "PMCM/configs/sysu.yml", MODEL__LOSSES__NAME=[*PMCM_LOSSES, "CrossModalityRetrievalLoss"]
    )
    assert isinstance(trainer.model.batch_transforms[0], PatchMix)
    assert isinstance(trainer.model.weighted_losses["CrossModalityRetrievalLoss"], CrossModalityRetrievalLoss)
    assert {"loss_cmr", "loss_c2c"} <= losses_of(tmp_path)


def test_mda_in_the_backbone_of_pmcm(trained):
    trainer, _ = trained(
        "PMCM/configs/sysu.yml", MODEL__ADAPTERS=["MDA"], MODEL__TWO_STREAM__MIXED_STEM="own"
    )
    assert isinstance(trainer.model.backbone.layer2[0].mda, ModalityDistributionAdapter)
    assert hasattr(trainer.model.backbone.conv1, "mixed")


def test_vimc_with_pmcm(trained):
    trainer, _ = trained("PMCM/configs/sysu.yml", INPUT__VISIBLE_TRANSFORMS=["VIMC", "PadCrop", "Flip"])
    assert isinstance(trainer.data_loader.dataset.transforms[0][0], VIMC)


def test_mser_on_a_pmcm_model(trained, tmp_path):
    _, plain = trained("PMCM/configs/sysu.yml")
    ranked_run = {"TEST__RERANKER": "MSER", "OUTPUT_DIR": str(tmp_path / "ranked")}
    _, ranked = trained("PMCM/configs/sysu.yml", **ranked_run)
    assert plain != ranked


def test_all_of_it_at_once(trained, tmp_path):
    trained(
        "PMCM/configs/sysu.yml",
        MODEL__LOSSES__NAME=[*PMCM_LOSSES, "PatchMixedModalityLoss", "CrossModalityRetrievalLoss"],
        MODEL__ADAPTERS=["MDA"],
        INPUT__VISIBLE_TRANSFORMS=["VIMC", "PadCrop", "Flip", "RandomErasing"],
        TEST__RERANKER="MSER",
    )
    assert {"loss_pmml", "loss_cmr"} <= losses_of(tmp_path)
