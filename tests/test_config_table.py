"""docs/config.md, which tools/config_table.py writes."""

import importlib
from pathlib import Path

import pytest

from configs import all_keys
from vireid.config.rules import leaves

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "config.md"


@pytest.fixture
def config_table(monkeypatch):
    """The tool as a module."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    return importlib.import_module("config_table")


def test_the_page_is_what_the_tool_writes(run_tool, tmp_path):
    page = tmp_path / "config.md"
    page.write_text(PAGE.read_text())
    assert run_tool("config_table", "--page", page) == (0, "", "")
    assert page.read_text() == PAGE.read_text(), "run tools/config_table.py"


def test_every_key_of_ours_has_a_meaning(config_table):
    from fastreid.config import get_cfg

    meanings = {}
    for file in config_table.METHODS.values():
        meanings.update(config_table.comments(file.read_text()))
    ours = {key for key, _ in leaves(all_keys())} - {key for key, _ in leaves(get_cfg())}
    assert set(meanings) == ours
    assert [key for key, meaning in meanings.items() if not meaning.endswith((".", "..."))] == []


def test_entries_of_a_block_share_its_comment(config_table):
    source = """
    # First line,
    # second line.
    add("A.B", 1, integer(0, 2))
    add("A.C", 1, integer(0, 2))
    # Another.
    add(
        "A.D", 1, integer(0, 2)
    )

    add("A.E", 1, integer(0, 2))
    "T.A": rule,
    # Of the next alone.
    "T.B": rule,
    "T.C": rule,
    """
    shared = "First line, second line."
    assert dict(config_table.comments(source)) == {
        "A.B": shared,
        "A.C": shared,
        "A.D": "Another.",
        "A.E": "",
        "T.A": "",
        "T.B": "Of the next alone.",
        "T.C": "",
    }
