"""vireid compare: what it reads of runs, what it gathers, and what it writes."""

import csv
import json
from statistics import stdev

import pytest
import yaml

BASE = {"MODEL": {"HEADS": {"NUM_CLASSES": 5}, "WEIGHTS": ""}, "SOLVER": {"GAMMA": 0.1}, "SEED": 0}


def figures(rank1):
    return {"Rank-1": rank1, "mAP": rank1 / 2}


def results(rank1, **about):
    rows = {"all-search single-shot": {"mean": figures(rank1)}, "indoor": {"mean": figures(rank1 + 10)}}
    return {**about, "results": {"SYSUMM01": rows}}


@pytest.fixture
def make_run(tmp_path):
    """A run's folder: last epoch 9, best epoch 4 and 5 points better."""

    def make(name, rank1, **settings):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.yaml").write_text(yaml.safe_dump({**BASE, "OUTPUT_DIR": str(folder), **settings}))
        (folder / "results.json").write_text(json.dumps(results(rank1, which="last", epoch=9)))
        best = results(rank1 + 5, which="best", epoch=4, selected_by="Rank-1")
        (folder / "results_best.json").write_text(json.dumps(best))
        return folder

    return make


def tables(printed):
    """The Markdown tables: the cells of each line."""
    blocks = printed.strip().split("\n\n")
    return [
        [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()] for block in blocks
    ]


def test_a_row_for_each_setting_of_each_recipe_and_the_differences_between_them(command, make_run):
    agw, pmcm = make_run("agw", 40.0), make_run("pmcm", 50.0, SOLVER={"GAMMA": 0.2})
    status, printed, _ = command("compare", agw, pmcm)
    assert status == 0
    rows, differences = tables(printed)
    assert rows[0] == ["run", "dataset", "setting", "epoch", "runs", "Rank-1", "mAP"]
    assert rows[2:] == [
        [str(agw), "SYSUMM01", "all-search single-shot", "last (9)", "1", "40.00", "20.00"],
        [str(pmcm), "SYSUMM01", "all-search single-shot", "last (9)", "1", "50.00", "25.00"],
        [str(agw), "SYSUMM01", "indoor", "last (9)", "1", "50.00", "25.00"],
        [str(pmcm), "SYSUMM01", "indoor", "last (9)", "1", "60.00", "30.00"],
    ]
    assert differences[0] == ["key", str(agw), str(pmcm)]
    assert differences[2:] == [["SOLVER.GAMMA", "0.1", "0.2"]]


def test_seeds_of_a_recipe_are_one_row_with_their_mean_and_spread(command, make_run):
    runs = [make_run(f"s{seed}", 40.0 + seed, SEED=seed) for seed in (0, 1, 5)]
    _, printed, _ = command("compare", *runs, "--setting", "indoor")
    ((_, _, row),) = tables(printed)
    assert row == [
        *(f"{runs[0]} and 2 more", "SYSUMM01", "indoor", "last (9)", "3 seeds"),
        *(f"52.00 ± {stdev([50, 51, 55]):.2f}", f"26.00 ± {stdev([25, 25.5, 27.5]):.2f}"),
    ]
    _, printed, _ = command("compare", *runs, "--setting", "indoor", "--every-run")
    assert [row[0] for row in tables(printed)[0][2:]] == [str(run) for run in runs]


def test_splits_of_regdb_are_one_row(command, make_run):
    runs = [make_run(f"split{n}", 40.0, DATASETS={"REGDB": {"SPLIT": n}}, SEED=n) for n in (1, 2)]
    _, printed, _ = command("compare", *runs, "--setting", "indoor")
    assert tables(printed)[0][2][4:6] == ["2 splits", "50.00 ± 0.00"]


def test_last_and_best_epoch(command, make_run):
    run = make_run("run", 40.0)
    _, printed, _ = command("compare", run, "--epoch", "both", "--setting", "all", "--metrics", "Rank-1")
    assert [row[3:] for row in tables(printed)[0][2:]] == [
        ["last (9)", "1", "40.00"],
        ["best (4)", "1", "45.00"],
    ]
    _, printed, _ = command("compare", run / "results_best.json", "--setting", "all")
    assert tables(printed)[0][2][3] == "best (4)"


def test_an_evaluation_is_a_run_whichever_epoch_is_asked_for(command, make_run):
    run = make_run("run", 40.0)
    (run / "eval").mkdir()
    (run / "eval" / "results.json").write_text(json.dumps(results(70.0, weights="model_best.pth", epoch=4)))
    for epoch in ("last", "best", "both"):
        _, printed, _ = command("compare", run / "eval", "--epoch", epoch, "--setting", "all")
        assert [row[3:] for row in tables(printed)[0][2:]] == [["evaluated (4)", "1", "70.00", "35.00"]]


def test_csv_and_json_have_figures_in_full_and_the_keys_that_differ(command, make_run, tmp_path):
    runs = [make_run("a", 40.123456), make_run("b", 41.0, SEED=3), make_run("c", 50.0, SOLVER={"GAMMA": 0.2})]
    options = ("--setting", "all", "--metrics", "Rank-1")
    _, printed, _ = command("compare", *runs, *options, "--format", "json")
    first, second = json.loads(printed)
    assert first["Rank-1"] == pytest.approx(40.561728) and first["Rank-1 std"] == pytest.approx(
        0.438272 * 2**0.5
    )
    assert (first["runs"], first["SOLVER.GAMMA"]) == (2, 0.1)
    assert (second["runs"], second["Rank-1 std"], second["SOLVER.GAMMA"]) == (1, None, 0.2)
    file = tmp_path / "table.csv"
    _, printed, _ = command("compare", *runs, *options, "--format", "csv", "--output", file)
    assert file.read_text() == printed
    with open(file, newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [float(row["Rank-1"]) for row in rows] == [first["Rank-1"], 50.0]
    assert [row["SOLVER.GAMMA"] for row in rows] == ["0.1", "0.2"]


def test_results_without_a_config_stand_alone(command, make_run):
    runs = [make_run("a", 40.0), make_run("b", 41.0)]
    for run in runs:
        (run / "config.yaml").unlink()
    _, printed, _ = command("compare", *runs, "--setting", "all")
    (rows,) = tables(printed)
    assert [row[0] for row in rows[2:]] == [str(run) for run in runs]


@pytest.mark.parametrize(
    ("damage", "options", "message"),
    [
        (lambda run: (run / "results.json").unlink(), [], "no results.json; name the output folder of a run"),
        (lambda run: (run / "results_best.json").unlink(), ["--epoch", "best"], "no results_best.json"),
        (lambda run: (run / "results.json").write_text("{"), [], "results.json is not JSON"),
        (lambda run: (run / "results.json").write_text("{}"), [], 'has no "results"'),
        (lambda run: (run / "config.yaml").write_text("a: ["), [], "config.yaml is not YAML"),
        (lambda run: None, ["--setting", "outdoor"], "no row has these words; the runs have all-search"),
        (lambda run: None, ["--metrics", "Rank1"], "--metrics names 'Rank1'; the runs have Rank-1, mAP"),
    ],
)
def test_what_cannot_be_compared_is_named(command, make_run, damage, options, message):
    run = make_run("run", 40.0)
    damage(run)
    status, printed, error = command("compare", run, *options)
    assert (status, printed) == (2, "") and message in error
