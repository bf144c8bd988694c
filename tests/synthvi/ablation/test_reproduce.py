"""tools/reproduce.py: the data it makes, what it trains, and its verdict. A stand-in trains and scores."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from synthvi import RECIPES
from synthvi.ablation.run_records import Record, write_record
from synthvi.ablation.scores import Scores
from synthvi.ablation.settings import changed_settings
from synthvi.ablation.training import Ablation
from synthvi.benchmark import write_benchmark
from synthvi.checksums import FILE
from synthvi.recipe import Seen

SMALL = "synthvi-1.0-small"
RANK1 = {"baseline": 40.0, "PMCM": 45.0}  # of seed 0; each further seed has a point more


def scores(value):
    figures = {"Rank-1": np.array([value, value]), "mAP": np.array([value / 2, value / 2])}
    return {"test": {"plain": Scores(np.array([1, 2]), np.array([4.0, 4.0]), figures)}}


def published_row(name, values, **more):
    figures = {figure: {"values": [factor * value for value in values]} for figure, factor in FACTORS.items()}
    return {"label": name, "seeds": list(range(len(values))), **figures, **more}


FACTORS = {"Rank-1": 1.0, "mAP": 0.5}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A recipe of three persons, and a folder with its dataset."""
    seen = {name: (Seen(1, 2),) * 6 for name in ("train", "val", "test")}
    recipe = replace(RECIPES[SMALL], size=(48, 24), identities=dict.fromkeys(seen, 1), seen=seen)
    folder = tmp_path_factory.mktemp("tiny")
    write_benchmark(recipe, folder / "SYSU-MM01", workers=1, progress=False)
    return recipe, folder


@pytest.fixture
def reproduce(run_tool, monkeypatch, tmp_path, tiny):
    """``reproduce(baseline, method)`` runs the tool beside published seeds of both rows;
    ``reproduce.trained`` are the rows, seeds and subsets that its last call completed."""
    monkeypatch.setenv("FASTREID_DATASETS", "none")
    monkeypatch.setitem(RECIPES, SMALL, tiny[0])

    def complete(ablation, runs, subset):
        reproduce.jobs = ablation.jobs
        for run in runs:
            row = run.name.partition(",")[0]
            reproduce.trained.append((row, run.seed, subset))
            about = run.config_file, run.options, run.seed, changed_settings(run.cfg)
            versions = ablation.versions.code, ablation.versions.data
            reached = scores(RANK1[row] + run.seed)
            write_record(ablation.results, Record(*about, *versions, 2000, 60.0, 5.0, "here", reached))

    monkeypatch.setattr(Ablation, "complete", complete)

    def reproduce(baseline, method, *words, subset="test"):
        reproduce.trained = []
        rows = [published_row("baseline", baseline), published_row("PMCM", method, against="baseline")]
        table = {"title": "Parts", "subset": subset, "rows": rows}
        (tmp_path / "published.json").write_text(json.dumps(table))
        folders = ["--datasets", tmp_path / "data", "--output", tmp_path / "benchmark"]
        return run_tool("reproduce", *folders, "--published", tmp_path / "published.json", *words)

    reproduce.folder = tmp_path
    shutil.copytree(tiny[1], tmp_path / "data")
    return reproduce


def test_it_makes_the_data_trains_both_rows_and_agrees(reproduce):
    shutil.rmtree(reproduce.folder / "data")
    status, printed, error = reproduce((40, 41, 42), (45.5, 46, 47))
    assert status == 0, error
    assert sorted(reproduce.trained) == [
        (row, seed, "test") for row in ("PMCM", "baseline") for seed in range(3)
    ]
    assert reproduce.jobs == 2
    assert (reproduce.folder / "data/SYSU-MM01" / FILE).is_file()
    assert "6 of 6 agree" in printed and "| PMCM - baseline | Rank-1" in printed
    status, printed, _ = reproduce((40, 41, 42), (45, 46, 47), "--seeds", "2")
    assert f"every file is as in {FILE}" in printed and status == 0


def test_the_exit_status_is_1_where_a_row_or_the_difference_is_apart(reproduce):
    status, printed, _ = reproduce((40, 41, 42), (55, 56, 57))
    assert status == 1
    cells = [[cell.strip() for cell in line.split("|")] for line in printed.splitlines()]
    apart = {(line[1], line[2]) for line in cells if line[-2:-1] == ["NO"]}
    assert apart == {(row, figure) for row in ("PMCM", "PMCM - baseline") for figure in FACTORS}


def test_rows_that_cannot_be_compared_are_refused_before_anything_is_done(reproduce):
    status, _, error = reproduce((40, 41), (45,))
    assert (status, reproduce.trained) == (2, [])
    assert error == (
        "error: row 'PMCM' has 1 seeds in the published table 'Parts'; a comparison needs two or more\n"
    )
    assert not (reproduce.folder / "benchmark").exists()
    assert reproduce((40, 41), (45, 46), "--rows", "bass")[0] == 2
    with pytest.raises(SystemExit):
        reproduce((40, 41), (45, 46), "--seeds", "1")
    status, _, error = reproduce((40, 41), (45, 46), subset="val")
    assert (status, reproduce.trained) == (2, [])
    assert "not of the test identities" in error


def test_altered_data_are_refused(reproduce):
    image = next((reproduce.folder / "data").rglob("*.jpg"))
    image.write_bytes(b"other")
    status, _, error = reproduce((40, 41), (45, 46))
    assert (status, reproduce.trained) == (2, [])
    assert "1 altered" in error
