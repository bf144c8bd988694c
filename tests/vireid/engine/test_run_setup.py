import io
import logging
import sys
from argparse import Namespace
from functools import partial

import pytest
import torch
from fastreid.utils import logger as toolkit_log

from configs import all_keys, tiny_config
from vireid.config.files import merge_config
from vireid.engine import setup
from vireid.engine.checks import check_config
from vireid.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SOLVER: {BASE_RL: 0.1}", r"key SOLVER.BASE_RL \(value 0.1\); did you mean SOLVER.BASE_LR"),
        ("MODEL: {PATCH_MIX: {RATE: 0.1}}", r"unknown config key MODEL.PATCH_MIX.RATE.*did you mean .*RATIO"),
        ("SOLVER: {MAX_EPOCH: many}", "SOLVER.MAX_EPOCH is 'many' .str.; expected int"),
        ("SOLVER: 3", "SOLVER is a group of keys; got 3"),
        ("SOLVER: [", "is not YAML"),
        ("just words", "holds no keys"),
        ("_BASE_: absent.yml", "absent.yml does not exist"),
    ],
)
def test_a_wrong_file_is_refused_with_file_key_and_value(tmp_path, text, message):
    file = tmp_path / "wrong.yml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        merge_config(all_keys(), str(file), [])
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (["MODEL.DEVISE", "cpu"], r"key MODEL.DEVISE \(value 'cpu'\); did you mean MODEL.DEVICE"),
        (["SOLVER.MAX_EPOCH", "two"], "SOLVER.MAX_EPOCH is 'two' .str.; expected int"),
        (["SOLVER.MAX_EPOCH"], "pairs KEY VALUE"),
        (["MODEL", "3"], "unknown config key MODEL"),
    ],
)
def test_a_wrong_command_line_is_refused(opts, message):
    with pytest.raises(ConfigError, match=message):
        merge_config(all_keys(), "", opts)


def test_a_missing_file_is_named():
    with pytest.raises(ConfigError, match="no file nowhere.yml"):
        merge_config(all_keys(), "nowhere.yml", [])


def test_the_command_line_wins_over_the_file(tmp_path):
    (tmp_path / "base.yml").write_text("SOLVER: {MAX_EPOCH: 3, BASE_LR: 0.5}")
    (tmp_path / "file.yml").write_text("_BASE_: base.yml\nSOLVER: {MAX_EPOCH: 4}")
    cfg = all_keys()
    merge_config(cfg, str(tmp_path / "file.yml"), ["SOLVER.GAMMA", "0.3"])
    assert (cfg.SOLVER.MAX_EPOCH, cfg.SOLVER.BASE_LR, cfg.SOLVER.GAMMA) == (4, 0.5, 0.3)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"SOLVER__AMP__DTYPE": "fp8"}, "AMP.DTYPE is 'fp8'"),
        ({"SOLVER__AMP__DTYPE": "fp16", "SOLVER__AMP__ENABLED": True}, "fp16 needs a GPU"),
        ({"TEST__BEST_METRIC": "Rank-3"}, "BEST_METRIC is 'Rank-3'"),
        ({"TEST__METRIC": "l1"}, "TEST.METRIC is 'l1'"),
        ({"SOLVER__MAX_EPOCH": 0}, "MAX_EPOCH is 0"),
        ({"SOLVER__OPT": "Lamb"}, "SOLVER.OPT is 'Lamb'; expected SGD, Adam"),
        ({"INPUT__AFFINE__ENABLED": True}, "AFFINE"),
        ({"MODEL__FREEZE_LAYERS": ["backbone"]}, "FREEZE_ITERS is 0, so that nothing would be frozen"),
        ({"DATASETS__NAMES": ["SYSU_mm"]}, "use SYSUMM01"),
        (
            {"MODEL__BACKBONE__NAME": "build_resnext_backbone", "MODEL__BACKBONE__DEPTH": "152x"},
            "152x: FastReID's ResNeXt",
        ),
        (
            {
                "MODEL__BACKBONE__NAME": "build_resnet_backbone",
                "MODEL__BACKBONE__DEPTH": "18x",
                "MODEL__BACKBONE__WITH_NL": True,
            },
            "WITH_NL True has no effect",
        ),
    ],
)
def test_a_config_that_would_fail_later_is_refused_first(overrides, message):
    with pytest.raises(ConfigError, match=message):
        check_config(tiny_config(**overrides))


DATASETS = {"sysu": "SYSUMM01", "regdb": "RegDB", "llcm": "LLCM", "demo": "SYSUMM01"}
SHIPPED = {
    f"{project}/configs/{config}.yml": dataset
    for project in ("VIReID", "PMCM", "MCJA")
    for config, dataset in DATASETS.items()
}
SHIPPED["VIReID/configs/vcm.yml"] = "HITSZVCM"


@pytest.mark.parametrize(("file", "dataset"), SHIPPED.items())
def test_the_shipped_configs_pass_and_name_their_dataset(file, dataset):
    cfg = tiny_config(file)
    check_config(cfg)
    assert cfg.DATASETS.NAMES == cfg.DATASETS.TESTS == (dataset,)


def test_each_shipped_config_has_a_folder_of_its_own():
    assert len({tiny_config(file).OUTPUT_DIR for file in SHIPPED}) == len(SHIPPED)


def test_a_locale_without_utf_8_does_not_lose_the_results(monkeypatch, tmp_path):
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(toolkit_log, "_cached_log_stream", partial(open, mode="a", encoding="ascii"))
    setup(tiny_config(OUTPUT_DIR=str(tmp_path)), Namespace(config_file="pmcm/sysu", eval_only=False))
    logging.getLogger("fastreid.vireid.evaluation").info("Rank-1 50.00 \u00b1 1.00")
    screen.seek(0)
    assert "Rank-1 50.00 \\xb1 1.00" in screen.read()
    assert "Rank-1 50.00 \\xb1 1.00" in (tmp_path / "log.txt").read_text(encoding="ascii")


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_config(tiny_config(MODEL__DEVICE="cuda:1"))
    with pytest.raises(ConfigError, match="MODEL.DEVICE is cuda:2, and there are 2 GPUs, which are counted"):
        check_config(tiny_config(MODEL__DEVICE="cuda:2"))


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(ConfigError, match="SOLVER.NESTEROV True needs SOLVER.MOMENTUM above 0"):
        check_config(tiny_config(SOLVER__MOMENTUM=0.0))
    check_config(tiny_config(SOLVER__MOMENTUM=0.0, SOLVER__NESTEROV=False))
    check_config(tiny_config(SOLVER__MOMENTUM=0.0, SOLVER__OPT="Adam"))
