import pytest

from configs import all_keys, tiny_config
from vireid.engine.checks import check_config
from vireid.engine.config_files import merge_config
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


@pytest.mark.parametrize("project", ["VIReID", "PMCM", "MCJA"])
@pytest.mark.parametrize("config", DATASETS)
def test_the_shipped_configs_pass_and_name_their_dataset(project, config):
    cfg = tiny_config(f"{project}/configs/{config}.yml")
    check_config(cfg)
    assert cfg.DATASETS.NAMES == cfg.DATASETS.TESTS == (DATASETS[config],)


def test_each_shipped_config_has_a_folder_of_its_own():
    files = [
        f"{project}/configs/{config}.yml" for project in ("VIReID", "PMCM", "MCJA") for config in DATASETS
    ]
    folders = [tiny_config(file).OUTPUT_DIR for file in files]
    assert len(set(folders)) == len(files)
