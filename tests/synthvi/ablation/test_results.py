"""The records in results/ beside the tables in results/small/tables."""

import pytest

from configs import PROJECTS
from synthvi.ablation.rows import records_of
from synthvi.ablation.run_records import read_defaults, read_records
from synthvi.ablation.suite_tables import read_table
from synthvi.ablation.suites import load_suite
from synthvi.ablation.versions import RECIPES
from synthvi.recipe import find_recipe

RESULTS = PROJECTS / "SynthVI" / "results" / "small"
TABLES = sorted(path.stem for path in (RESULTS / "tables").glob("*.json"))
CODE = "2868bd857b74"


@pytest.fixture(scope="module")
def records():
    return read_records(RESULTS)


@pytest.mark.parametrize("name", TABLES)
def test_each_row_of_a_table_is_that_of_its_records(records, name):
    """All seeds of its row, and no other row's: whatever the defaults of today's code are."""
    table = read_table(RESULTS / "tables" / f"{name}.json")
    suite = load_suite(PROJECTS / "SynthVI" / "suites" / f"{table['suite']}.yml", "synthvi/small_")
    defaults = {CODE: read_defaults(RESULTS, CODE)}
    data, subset = find_recipe(RECIPES["small"]).digest, table["subset"]
    names = dict.fromkeys(entry["name"] for entry in table["rows"])
    rows = {name: records_of(suite.row(name), 5, records, defaults, data, subset) for name in names}
    for entry in table["rows"]:
        found = rows[entry["name"]]
        assert list(found) == entry["seeds"], entry["name"]
        if found:
            reached = [r.scores[subset][entry["ranking"]].mean("Rank-1") for r in found.values()]
            assert reached == entry["Rank-1"]["values"]
