"""Whether figures agree with published ones, beside SciPy's own test of two means."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from synthvi.ablation.agreement import agreement_table, compare_tables, tolerance
from vireid.errors import UserError


def entry(label, values, seeds=None, against=""):
    found = {"label": label, "seeds": list(range(len(values))) if seeds is None else seeds}
    for figure, factor in (("Rank-1", 1.0), ("mAP", 0.5)):
        found[figure] = {"values": [factor * value for value in values]}
    return {**found, "against": against} if against else found


def table(*rows):
    return {"title": "Parts", "rows": list(rows)}


def test_means_agree_where_welchs_test_at_five_percent_does_not_tell_them_apart():
    draw = np.random.default_rng(0)
    verdicts = []
    for _ in range(300):
        first = draw.normal(0, 1, draw.integers(2, 6))
        second = draw.normal(draw.uniform(0, 4), draw.uniform(0.5, 2), draw.integers(2, 6))
        apart = abs(first.mean() - second.mean())
        expected = ttest_ind(first, second, equal_var=False).pvalue >= 0.05
        verdicts.append(expected)
        assert (apart <= tolerance(first, second)) == expected
    assert 50 < sum(verdicts) < 250


def test_equal_seeds_agree_with_no_tolerance():
    assert tolerance([40.0, 40.0], [40.0, 40.0]) == 0
    same = table(entry("base", [40.0, 40.0]))
    assert all(compared.agrees for compared in compare_tables(same, same))


def test_rows_and_the_difference_of_the_seeds_of_both_are_compared():
    ours = table(entry("base", [40, 42, 44]), entry("method", [45, 47, 49], against="base"))
    published = table(
        entry("method", [46, 60, 50, 99], seeds=[0, 1, 2, 3], against="base"),
        entry("other", [1, 2]),
        entry("base", [40, 42, 44, 90], seeds=[0, 1, 2, 9]),
    )
    found = {(c.what, c.figure): c for c in compare_tables(ours, published)}
    rows = ("base", "method", "method - base")
    assert set(found) == {(what, figure) for what in rows for figure in ("Rank-1", "mAP")}
    difference = found["method - base", "Rank-1"]
    assert (difference.ours, difference.published) == (5.0, pytest.approx(np.mean([6, 18, 6])))
    assert difference.tolerance == pytest.approx(tolerance([5, 5, 5], [6, 18, 6]))
    assert found["base", "mAP"].ours == 21.0


def test_the_table_says_how_far_apart_the_means_are_and_may_be():
    ours = table(entry("base", [40.0, 42.0]), entry("method", [70.0, 70.1]))
    published = table(entry("base", [41.0, 42.0]), entry("method", [60.0, 60.1]))
    lines = agreement_table(compare_tables(ours, published)).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[0] == ["row", "figure", "here", "published", "apart", "allowed", "agrees"]
    allowed = f"{tolerance([40, 42], [41, 42]):.1f}"
    assert cells[2] == ["base", "Rank-1", "41.0", "41.5", "-0.5", allowed, "yes"]
    assert (cells[4][4], cells[4][6]) == ("+10.0", "NO")


@pytest.mark.parametrize(
    ("ours", "published", "message"),
    [
        (entry("b", [1, 2]), entry("a", [1, 2]), "the published table 'Parts' has no row 'b'"),
        (entry("a", [1]), entry("a", [1, 2]), "a: 1 seeds in this table; a comparison needs two or more"),
        (entry("a", [1, 2]), entry("a", []), "a: 0 seeds in the published table; a comparison needs two"),
    ],
)
def test_what_cannot_be_compared_is_named(ours, published, message):
    with pytest.raises(UserError, match=message):
        compare_tables(table(ours), table(published))
