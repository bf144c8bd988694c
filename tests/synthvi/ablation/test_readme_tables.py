"""The tables of SynthVI's results in the READMEs, which tools/result_tables.py puts there."""

import pytest

from configs import PROJECTS

PAGES = [path for path in sorted(PROJECTS.glob("*/*.md")) if "<!-- results:" in path.read_text()]


def test_the_readme_of_each_method_and_of_the_data_has_a_table():
    assert {"SynthVI", "PMCM", "MCJA"} <= {page.parent.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_the_tables_are_those_of_the_results(run_tool, tmp_path, page):
    copy = tmp_path / "README.md"
    copy.write_text(page.read_text())
    assert run_tool("result_tables", copy) == (0, "", "")
    assert copy.read_text() == page.read_text(), "run tools/result_tables.py"


def test_a_table_replaces_what_stood_there_and_the_rest_stays(run_tool, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- results: small/combined-test -->\nold\n<!-- /results -->\nafter\n")
    assert run_tool("result_tables", page) == (0, "", "")
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert lines[2].startswith("| row ")
    assert lines[4].startswith("| baseline ")
    assert "old" not in lines


def test_a_table_that_is_not_there_is_named(run_tool, tmp_path):
    page = tmp_path / "page.md"
    text = "<!-- results: small/nothing-test -->\n<!-- /results -->\n"
    page.write_text(text)
    code, _, error = run_tool("result_tables", page)
    assert code == 2
    assert "nothing-test.json is not a table" in error
    assert page.read_text() == text
