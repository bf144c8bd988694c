"""A short fuzz of each category; ``make fuzz`` runs a long one."""

import importlib
import logging
import sys
from pathlib import Path

import pytest

CASES = {
    "config_values": 40,
    "damaged_files": 150,
    "list_files": 80,
    "evaluation_calls": 120,
    "stores": 40,
    "caches": 40,
}
NEVER_REFUSED = "caches"


@pytest.fixture
def quiet():
    """No warnings in the log: thousands of them say that a file is damaged."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("category", CASES)
def test_every_case_is_refused_in_one_line_or_accepted(category, tmp_path, monkeypatch, quiet):
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent), *sys.path])
    tally = importlib.import_module(category).fuzz(CASES[category], 0, tmp_path)
    assert tally.failures == []
    assert tally.refused + tally.accepted == tally.tried == CASES[category]
    assert tally.accepted > tally.tried / 20  # both are tried
    assert tally.refused > tally.tried / 20 or (category == NEVER_REFUSED and not tally.refused)
