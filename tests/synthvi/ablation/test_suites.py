"""Suites as YAML."""

import pytest
import yaml

from configs import PROJECTS
from synthvi.ablation.rows import row_config
from synthvi.ablation.suites import SuiteRow, load_suite
from vireid.engine.checks import check_config
from vireid.errors import ConfigError

SUITES = sorted((PROJECTS / "SynthVI" / "suites").glob("*.yml"))


def write(tmp_path, *rows):
    path = tmp_path / "parts.yml"
    path.write_text(yaml.safe_dump({"title": "Parts", "rows": list(rows)}, sort_keys=False))
    return path


def test_a_row_is_a_config_and_what_it_changes(tmp_path):
    path = write(
        tmp_path,
        {"name": "plain", "config": "agw"},
        {
            "name": "own stem",
            "config": "pmcm",
            "set": {"MODEL.TWO_STREAM.MIXED_STEM": "own", "MODEL.PATCH_MIX.RATIO": 0.25},
            "against": "plain",
            "curve": ["p", 0.25],
        },
        {"name": "re-ranked", "config": "agw", "against": "plain", "ranking": "MSER"},
    )
    suite = load_suite(path, "synthvi/small_")
    assert (suite.name, suite.title) == ("parts", "Parts")
    assert suite.rows[0] == SuiteRow("plain", "synthvi/small_agw")
    options = ("MODEL.TWO_STREAM.MIXED_STEM", "own", "MODEL.PATCH_MIX.RATIO", "0.25")
    point = SuiteRow("own stem", "synthvi/small_pmcm", options, against="plain", curve=("p", 0.25))
    assert suite.row("own stem") == point
    assert suite.row("re-ranked") == SuiteRow(
        "re-ranked", "synthvi/small_agw", against="plain", ranking="MSER"
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"name": "a"}],
            "expected title, and rows with against, config, curve, name, ranking, set: 'config'",
        ),
        ([{"name": "a", "config": "agw", "sets": {}}], "unknown key sets"),
        ([{"name": "a", "config": "agw"}] * 2, "two rows are called 'a'"),
        ([{"name": "base", "config": "agw", "against": "bass"}], "no row 'bass'; did you mean base"),
        (
            [
                {"name": "base", "config": "agw", "ranking": "MSER"},
                {"name": "method", "config": "pmcm", "against": "base"},
            ],
            "row 'method' is compared with 'base', which shows one ranking",
        ),
    ],
)
def test_a_suite_that_cannot_be_is_refused(tmp_path, rows, message):
    with pytest.raises(ConfigError, match=message):
        load_suite(write(tmp_path, *rows), "")


@pytest.mark.parametrize("size", ["small", "full"])
@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_every_row_of_this_projects_suites_is_a_config(path, size):
    for row in load_suite(path, f"synthvi/{size}_").rows:
        check_config(row_config(row))
