"""vireid sweep: which runs it makes, which it makes again, and its table. No run here trains anything."""

import json
from types import SimpleNamespace

import pytest

from configs import PROJECTS
from stand_in_processes import replace_processes

CONFIG = PROJECTS / "VIReID" / "configs" / "demo.yml"
MEANS = {"Rank-1": 40.0, "mAP": 30.0, "mINP": 20.0}


@pytest.fixture
def sweep(command, monkeypatch, tmp_path):
    """The tool on the baseline's demo, with a stand-in for the training: ``sweep(*arguments)`` returns
    its exit status and the rows of its table; ``sweep.runs.settings`` are those of each run it started.

    A run's Rank-1 is 40 and its seed, or what ``sweep.runs.rank1`` makes of its settings.
    """
    runs = SimpleNamespace(settings=[], statuses=[], more_rows=["indoor-search single-shot"])
    runs.rank1 = lambda settings: 40.0 + float(settings["SEED"])

    def train(process):
        settings, folder = process.settings, process.folder
        runs.settings.append(settings)
        status = runs.statuses.pop(0) if runs.statuses else 0
        if status == 0:
            (folder / "model_final.pth").touch()
            means = {**MEANS, "Rank-1": runs.rank1(settings)}
            names = ("all-search single-shot", *runs.more_rows)
            results = {"SYSUMM01": {name: {"mean": means} for name in names}, "RegDB": {}}
            epoch = int(settings.get("SOLVER.MAX_EPOCH", 7)) - 1
            (folder / "results.json").write_text(json.dumps({"epoch": epoch, "results": results}))
            best = {"SYSUMM01": {name: {"mean": {**means, "mAP": 35.0}} for name in names}}
            record = {"which": "best", "epoch": int(settings["SEED"]), "results": best}
            (folder / "results_best.json").write_text(json.dumps(record))
        return status

    replace_processes(monkeypatch, train)

    def run(*arguments):
        runs.settings.clear()
        status, output, run.error = command(
            "sweep", "--config-file", CONFIG, "--output", tmp_path, *arguments
        )
        lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in output.splitlines()]
        return status, [dict(zip(lines[0], cells)) for cells in lines[2:]] if lines else []

    run.runs = runs
    return run


def figures(rows):
    return [row["Rank-1"] for row in rows]


def test_every_combination_is_trained_with_every_seed(sweep, tmp_path):
    stems = ["MODEL.TWO_STREAM.MIXED_STEM", "visible", "own"]
    options = ["--options", "SOLVER.MAX_EPOCH", "3"]
    status, rows = sweep(
        "--vary", *stems, "--vary", "SOLVER.GAMMA", "0.1", "0.2", "--seeds", 0, 1, *options, "--jobs", 2
    )
    assert status == 0
    started = {(s["MODEL.TWO_STREAM.MIXED_STEM"], s["SOLVER.GAMMA"], s["SEED"]) for s in sweep.runs.settings}
    assert started == {
        (stem, gamma, seed) for stem in ("visible", "own") for gamma in ("0.1", "0.2") for seed in "01"
    }
    assert len(sweep.runs.settings) == 8
    assert {s["SOLVER.MAX_EPOCH"] for s in sweep.runs.settings} == {"3"}
    assert rows[1] == {
        "MODEL.TWO_STREAM.MIXED_STEM": "visible",
        "SOLVER.GAMMA": "0.2",
        "dataset": "SYSUMM01",
        "row": "all-search single-shot",
        "epoch": "last (2)",
        "seeds": "2",
        "Rank-1": "40.5 ± 0.7",
        "mAP": "30.0 ± 0.0",
        "mINP": "20.0 ± 0.0",
    }
    assert json.loads((tmp_path / "sweep.json").read_text()) == rows


def test_what_is_finished_is_not_repeated_and_a_sweep_can_be_extended(sweep):
    first = ["--vary", "SOLVER.GAMMA", "0.1"]
    assert figures(sweep(*first)[1]) == ["40.0"]  # one seed: no ±
    assert figures(sweep(*first)[1]) == ["40.0"]
    assert sweep.runs.settings == []
    assert figures(sweep(*first, "0.2", "--seeds", 0, 1)[1]) == ["40.5 ± 0.7"] * 2
    assert [(s["SOLVER.GAMMA"], s["SEED"]) for s in sweep.runs.settings] == [
        ("0.1", "1"),
        ("0.2", "0"),
        ("0.2", "1"),
    ]


def test_a_reranked_row_stands_below_the_plain_one(sweep):
    sweep.runs.more_rows = [
        "all-search single-shot + MSER",
        "all-search multi-shot",
        "all-search multi-shot + MSER",
    ]
    rows = sweep("--vary", "SOLVER.GAMMA", "0.1", "0.2")[1]
    names = ["all-search single-shot", "all-search single-shot + MSER"]
    assert [(row["SOLVER.GAMMA"], row["row"]) for row in rows] == [
        (g, n) for g in ("0.1", "0.2") for n in names
    ]


def test_the_best_epochs_are_tabulated_where_they_are_asked_for(sweep):
    _, (row,) = sweep("--vary", "SOLVER.GAMMA", "0.1", "--seeds", 0, 5, "--epoch", "best")
    assert (row["epoch"], row["mAP"]) == ("best (0, 5)", "35.0 ± 0.0")


def test_two_sweeps_of_other_keys_with_the_same_values_do_not_mix(sweep):
    sweep.runs.rank1 = lambda settings: 50.0 if "SOLVER.WEIGHT_DECAY" in settings else 60.0
    decays = sweep("--vary", "SOLVER.WEIGHT_DECAY", "0.1", "0.2")[1]
    gammas = sweep("--vary", "SOLVER.GAMMA", "0.1", "0.2")[1]
    assert figures(decays) == ["50.0", "50.0"]
    assert figures(gammas) == ["60.0", "60.0"]


@pytest.mark.parametrize(
    "changed", [["--options", "SOLVER.MAX_EPOCH", "9"], ["--options", "INPUT.SIZE_TEST", "[64, 32]"]]
)
def test_a_changed_recipe_is_trained_again(sweep, changed):
    vary = ["--vary", "SOLVER.GAMMA", "0.1"]
    sweep(*vary)
    sweep.runs.rank1 = lambda settings: 70.0
    assert figures(sweep(*vary, *changed)[1]) == ["70.0"]
    assert len(sweep.runs.settings) == 1


def test_a_changed_config_file_is_trained_again(sweep, tmp_path):
    """The same command: what the file inherits has changed."""
    base, file = tmp_path / "base.yml", tmp_path / "mine.yml"
    base.write_text("SOLVER: {BASE_LR: 0.1}")
    file.write_text("_BASE_: base.yml")
    sweep("--config-file", file)
    base.write_text("SOLVER: {BASE_LR: 0.2}")
    sweep("--config-file", file)
    assert len(sweep.runs.settings) == 1
    base.write_text("SOLVER: {BASE_LR: 0.1}")
    sweep("--config-file", file)
    assert sweep.runs.settings == []


def test_the_same_recipe_in_other_words_is_one_run(sweep):
    rows = sweep("--vary", "SOLVER.GAMMA", "0.10", "--seeds", 0, 0)[1]
    assert len(sweep.runs.settings) == 1
    assert figures(rows) == ["40.0"]
    assert rows[0]["seeds"] == "1"


def test_a_folder_says_what_it_holds(sweep, tmp_path):
    sweep("--vary", "DATASETS.NAMES", "['RegDB']", "--vary", "SOLVER.GAMMA", "0.3", "--seeds", 4)
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert folder.name.startswith("NAMES-RegDB_GAMMA-0.3_seed4-")
    assert "GAMMA: 0.3" in (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text("GAMMA: 0.4")  # not what the name says
    sweep("--vary", "DATASETS.NAMES", "['RegDB']", "--vary", "SOLVER.GAMMA", "0.3", "--seeds", 4)
    assert len(sweep.runs.settings) == 1


def test_a_run_that_fails_is_named_and_left_out_of_the_table(sweep):
    sweep.runs.statuses = [1, 0, 1]
    status, rows = sweep("--vary", "SOLVER.GAMMA", "0.1", "0.2", "--seeds", 0)
    assert status == 1
    assert sweep.error.count("failed: see") == 1 and "GAMMA-0.1_seed0" in sweep.error
    assert [(row["seeds"], row["Rank-1"]) for row in rows] == [("0", ""), ("1", "40.0")]


def test_a_key_that_does_not_exist_is_refused_before_anything_is_trained(sweep):
    status, rows = sweep("--vary", "SOLVER.BASE_LR", "0.1", "--vary", "SOLVER.GAMA", "1")
    assert (status, rows, sweep.runs.settings) == (2, [], [])
    assert sweep.error.startswith("error: unknown config key SOLVER.GAMA")
