"""CAJ and DEEN trained, stopped and resumed, evaluated and described, on generated data."""

import json

import pytest
import torch

from configs import PROJECTS, TINY
from training import train
from vireid.engine.step import OptimizationStep

RECIPES = {"CAJ": "CAJ/configs/sysu.yml", "DEEN": "DEEN/configs/sysu.yml"}
LOSSES = {"CAJ": {"loss_ce", "loss_esd"}, "DEEN": {"loss_ce", "loss_tri", "loss_cpm", "loss_ort"}}
EMBEDDING = {"CAJ": 64, "DEEN": 3 * 2 * 64}
OPTIONS = {
    "SOLVER__MAX_EPOCH": 2,
    "SOLVER__CHECKPOINT_MINUTES": 1e-9,  # after every step
    "DATALOADER__MAX_BATCHES_PER_EPOCH": 2,
    "TEST__EVAL_PERIOD": 0,
    "DATASETS__TRIALS": 1,
}


@pytest.mark.parametrize("method", RECIPES)
def test_a_resumed_training_ends_as_the_whole_one(datasets, tmp_path, monkeypatch, method):
    whole = train(tmp_path / "whole", RECIPES[method], **OPTIONS)
    assert whole.unmoved == [] and whole.losses == LOSSES[method]
    assert 0 < whole.results["SYSUMM01"]["all-search single-shot"]["Rank-1"] <= 100

    steps = iter(range(100))
    call = OptimizationStep.__call__

    def stopping(self, *arguments):
        if next(steps) == 3:
            raise ZeroDivisionError
        return call(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(OptimizationStep, "__call__", stopping)
        train(tmp_path / "stopped", RECIPES[method], **OPTIONS)
    resumed = train(tmp_path / "stopped", RECIPES[method], resume=True, **OPTIONS)
    assert resumed.trainer.start == (1, 1)
    expected = whole.trainer.model.state_dict()
    for name, value in resumed.trainer.model.state_dict().items():
        assert torch.equal(value, expected[name]), name
    assert resumed.results == whole.results


@pytest.mark.parametrize("method", RECIPES)
def test_info_describes_it(command, method):
    opts = [str(item) for pair in TINY.items() for item in pair]
    file = PROJECTS / RECIPES[method]
    status, printed, error = command("info", "--json", "--seconds", 0, "--config-file", file, *opts)
    assert status == 0, error
    found = json.loads(printed)
    assert found["embedding"] == EMBEDDING[method] and found["feature_map"] == [64, 4, 2]
    _, printed, _ = command(
        "info", "--json", "--seconds", 0, "--config-file", PROJECTS / "VIReID/configs/sysu.yml", *opts
    )
    plain = json.loads(printed)
    assert (found["parameters"]["total"] == plain["parameters"]["total"]) == (method == "CAJ")
    assert (found["flops"] == plain["flops"]) == (method == "CAJ")
