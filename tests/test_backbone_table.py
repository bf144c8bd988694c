"""tools/backbone_table.py, with outcomes that are given."""

import pytest

import backbone_matrix
from backbone_matrix import Outcome, Variant

PAGE = "# Backbones\n\n<!-- matrix -->\nold\n<!-- /matrix -->\n\nMore.\n"


@pytest.fixture
def outcomes(monkeypatch):
    """Two variants; RepVGG fails in PMCM, the transformer is refused by all but the baseline."""
    monkeypatch.setattr(
        backbone_matrix,
        "VARIANTS",
        [Variant("repvgg", "A0", ("WITH_SE", "WITH_NL")), Variant("vit", "small")],
    )

    def run(variant, method, folder, **overrides):
        assert overrides == {"resume": False, **({"SOLVER__AMP__ENABLED": True} if method == "PMCM" else {})}
        if variant.family == "vit" and method != "baseline":
            return Outcome(refused="it has no map")
        if method == "PMCM":
            raise AssertionError("two steps left\n  ['stem'] as they were")
        return Outcome(parameters=1_234_567, seconds=1.25)

    monkeypatch.setattr(backbone_matrix, "run", run)


def test_the_table_stands_between_the_marks_of_the_page(run_tool, outcomes, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    status, printed, error = run_tool("backbone_table", "--page", page)
    assert (status, printed) == (1, "")
    assert error.splitlines()[-1] == "10 runs, 1 failed repvgg-A0-WITH_SE-WITH_NL in PMCM"
    assert page.read_text() == (
        "# Backbones\n\n<!-- matrix -->\n"
        "| backbone | DEPTH | options | parameters | baseline | PMCM | MCJA | CAJ | DEEN | seconds |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| repvgg | A0 | SE, NL | 1.23 M | pass | FAILS (1) | pass | pass | pass | 5.0 |\n"
        "| vit | small |  | 1.23 M | pass | refused (2) | refused (2) | refused (2) | refused (2) | 1.2 |\n"
        "\n1. AssertionError: two steps left ['stem'] as they were\n2. it has no map\n"
        "<!-- /matrix -->\n\nMore.\n"
    )


def test_some_variants_are_printed_and_the_page_stays(run_tool, outcomes, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    status, printed, _ = run_tool("backbone_table", "--page", page, "--only", "vit")
    assert status == 0
    assert printed.count("\n| ") == 2 and "| vit | small |" in printed and "repvgg" not in printed
    assert page.read_text() == PAGE
