"""tools/ablate.py: what it refuses before it trains anything."""

import re
import shlex

import pytest

from configs import PROJECTS
from synthvi.ablation.ablate import build_parser, rows_of
from synthvi.ablation.suites import load_suite
from synthvi.ablation.tool import SUITES
from synthvi.checksums import FILE


@pytest.fixture
def ablate(run_tool, monkeypatch, tmp_path):
    """``ablate(arguments)`` runs the tool on a dataset that is a list of checksums alone."""
    (tmp_path / "SYSU-MM01").mkdir()
    (tmp_path / "SYSU-MM01" / FILE).write_text("")
    monkeypatch.setenv("FASTREID_DATASETS", str(tmp_path))
    folders = ["--results", tmp_path / "results", "--work", tmp_path / "work"]
    return lambda *arguments: run_tool("ablate", *arguments, *folders)


def test_a_wrong_row_of_the_second_suite_is_found_before_the_first_is_trained(ablate, tmp_path):
    status, _, error = ablate("--suite", "p", "pmcm", "--rows", "baseline", "p 0.5")
    assert status == 2
    assert "error: suite pmcm has no row 'p 0.5'" in error
    assert not (tmp_path / "work").exists()


def test_where_there_is_no_record_no_table_is_written(ablate, tmp_path):
    status, printed, error = ablate("--suite", "p", "--code", "2868bd857b74", "--report")
    assert (status, printed) == (2, "")
    assert "error: suite p has no record on the test identities of code 2868bd857b74 and data" in error
    assert not (tmp_path / "results").exists()


def test_every_command_of_the_pages_has_known_arguments_and_rows():
    pages = [*PROJECTS.glob("*/README.md"), *PROJECTS.parent.glob("docs/*.md")]
    lines = [line for page in pages for line in re.findall(r"tools/ablate.py (--.*)", page.read_text())]
    assert len(lines) > 10
    for line in lines:
        args = build_parser().parse_args(shlex.split(line, comments=True))
        for name in args.suite:
            rows_of(load_suite(SUITES / f"{name}.yml", f"synthvi/{args.size}_"), args.rows)
