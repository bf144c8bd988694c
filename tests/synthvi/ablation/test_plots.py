"""Pictures of ablation tables: what is drawn where, and what is refused."""

import json

import numpy as np
import pytest

from synthvi.ablation.plots import ablation_figure, curve_figure, difference_figure
from vireid.errors import UserError
from vireid.visualize.style import SUFFIXES


def reached(*values):
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)), "values": list(values)}


def entry(label, values, against="", gain=(), curve=None):
    found = {"name": label, "label": label, "ranking": "plain", "curve": curve, "seeds": [0, 1]}
    for figure, shift in (("Rank-1", 0), ("mAP", 5)):
        found[figure] = reached(*(value - shift for value in values))
    if gain:
        worth = dict(zip(("mean", "low", "high"), gain))
        found |= {"against": against, "paired_seeds": 2, "difference": {"Rank-1": worth, "mAP": worth}}
    return found


def table(*rows):
    return {"suite": "parts", "title": "Parts", "subset": "test", "rows": list(rows)}


PARTS = table(
    entry("base", (40, 44)),
    entry("method", (50, 52), "base", (9.0, 6.0, 12.0)),
    entry("less", (49, 51), "method", (-1.0, -4.0, 2.0)),
    entry("more", (44, 50), "base", (5.0, -1.0, 11.0)),
    {"name": "later", "label": "later", "ranking": "plain", "curve": None, "seeds": []},
)
CURVES = table(
    entry("base", (40, 44)),
    entry("p 0.5", (50, 52), "base", (9.0, 6.0, 12.0), ["p", 0.5]),
    entry("p 0", (40, 46), "base", (1.0, -2.0, 4.0), ["p", 0.0]),
    entry("lambda 1 = 2", (46, 48), "base", (5.0, 1.0, 9.0), ["lambda 1", 2.0]),
)


def test_a_difference_is_a_dot_with_its_interval_and_filled_where_zero_is_outside():
    figure, said = difference_figure(PARTS)
    assert said == "Parts: 3 differences, test identities, 2 seeds, 95% intervals"
    rows = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert rows == ["compared with “base”", "method", "more", "compared with “method”", "less"]
    for axis in figure.axes:
        dots = [line for line in axis.lines if line.get_marker() == "o"]
        found = {
            rows[int(dot.get_ydata()[0])]: (dot.get_xdata()[0], dot.get_markerfacecolor() == dot.get_color())
            for dot in dots
        }
        assert found == {"method": (9.0, True), "more": (5.0, False), "less": (-1.0, False)}
        intervals = [line for line in axis.lines if len(set(line.get_xdata())) == 2]
        spans = {rows[int(line.get_ydata()[0])]: tuple(line.get_xdata()) for line in intervals}
        assert spans == {"method": (6.0, 12.0), "more": (-1.0, 11.0), "less": (-4.0, 2.0)}


def test_a_curve_is_the_mean_over_its_setting_beside_the_level_of_what_it_is_compared_with():
    figure, said = curve_figure(CURVES)
    assert said.startswith("Parts: curves over p, lambda 1, test identities, plain ranking, 2 seeds")
    rank1 = figure.axes[0]
    lines = {line.get_label(): line for line in rank1.lines if not line.get_label().startswith("_")}
    assert list(zip(*lines["mean over the seeds"].get_data())) == [(0.0, 43.0), (0.5, 51.0)]
    assert set(lines["base"].get_ydata()) == {42.0}
    seeds = [line for line in rank1.lines if line.get_marker() == "." and len(line.get_xdata())]
    assert sorted(value for line in seeds for value in line.get_ydata()) == [40, 46, 50, 52]
    (band,) = (collection for collection in rank1.collections if collection.get_paths())
    outline = band.get_paths()[0].vertices
    deviation = np.std([40, 46], ddof=1)
    assert outline[outline[:, 0] == 0][:, 1].min() == pytest.approx(43 - deviation)
    assert [axis.get_xlabel() for axis in figure.axes[2:]] == ["p", "λ₁"]


def test_a_curve_is_of_the_plain_ranking():
    reranked = {**entry("p 0 + MSER", (90, 96), "base", (1.0, -2.0, 4.0), ["p", 0.0]), "ranking": "MSER"}
    figures = [curve_figure(found)[0] for found in (CURVES, table(*CURVES["rows"], reranked))]
    drawn = [[line.get_xydata().tolist() for line in figure.axes[0].lines] for figure in figures]
    assert drawn[0] == drawn[1]


def test_a_table_with_points_of_curves_is_drawn_as_curves():
    assert ablation_figure(CURVES)[1].startswith("Parts: curves")
    assert ablation_figure(PARTS)[1].startswith("Parts: 3 differences")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_command_writes_the_format_of_the_name(command, tmp_path, suffix):
    (tmp_path / "table.json").write_text(json.dumps(PARTS))
    path = tmp_path / f"parts{suffix}"
    status, printed, error = command("show", "ablation", tmp_path / "table.json", "--output", path)
    assert (status, printed, error) == (0, f"{path}: {difference_figure(PARTS)[1]}\n", "")
    assert path.read_bytes().startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix])


@pytest.mark.parametrize("draw", [difference_figure, curve_figure])
def test_a_table_without_anything_to_draw_is_named(draw):
    with pytest.raises(UserError, match="Parts: no .* nothing to draw"):
        draw(table(entry("base", (40, 44))))
