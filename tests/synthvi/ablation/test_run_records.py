"""Records of runs as lines of JSON."""

import json
import multiprocessing
import threading

import numpy as np
import pytest

from synthvi.ablation.run_records import Record, parse_record, read_defaults, read_records, write_record
from synthvi.ablation.scores import Scores
from synthvi.ablation.settings import default_settings
from vireid.errors import DatasetError


def record(seed=0, config="synthvi/small_agw", value=50.0, subset="val"):
    figures = {"Rank-1": np.array([value]), "mAP": np.array([1.25])}
    scores = {subset: {"plain": Scores(np.array([7]), np.array([2.0]), figures)}}
    about = config, ("A", "1"), seed, {"A": [1, 0.5], "OF": config, "SEED": seed}
    return Record(*about, "code", "data", 100, 60.5, 5.0, "here", scores)


def reached(folder):
    """Seed and Rank-1 of each record."""
    return [(held.seed, held.scores["val"]["plain"].mean("Rank-1")) for held in read_records(folder)]


def test_a_record_is_a_line_of_the_file_of_its_config(tmp_path):
    for held in (record(0), record(1), record(0, "synthvi/small_pmcm")):
        write_record(tmp_path, held)
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == ["small_agw.jsonl", "small_pmcm.jsonl"]
    first, _ = (tmp_path / "small_agw.jsonl").read_text().splitlines()
    assert json.loads(first)["settings"] == record(0).settings
    again, _, other = read_records(tmp_path)
    assert (again.key, again.options, again.train_seconds) == (record(0).key, ("A", "1"), 60.5)
    assert other.config == "synthvi/small_pmcm"
    assert again.scores["val"]["plain"].to_plain() == record(0).scores["val"]["plain"].to_plain()


def test_a_record_with_more_scores_takes_the_place_of_the_earlier_one_and_others_stay(tmp_path):
    for seed in range(3):
        write_record(tmp_path, record(seed))
    path = tmp_path / "small_agw.jsonl"
    before = path.read_text().splitlines()
    write_record(tmp_path, record(1, value=60.0))
    after = path.read_text().splitlines()
    assert [line for line in after if line in before] == [before[0], before[2]]
    assert reached(tmp_path) == [(0, 50.0), (1, 60.0), (2, 50.0)]
    path.write_text("\n".join([*before, after[1]]))  # as a merge of both versions of the file
    assert reached(tmp_path) == [(0, 50.0), (1, 60.0), (2, 50.0)]


def write_by_threads(folder, seeds):
    threads = [threading.Thread(target=write_record, args=(folder, record(seed))) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_records_that_threads_and_processes_write_at_the_same_time_are_all_kept(tmp_path):
    forking = multiprocessing.get_context("fork")
    halves = [range(first, first + 8) for first in (0, 8)]
    processes = [forking.Process(target=write_by_threads, args=(tmp_path, seeds)) for seeds in halves]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted(held.seed for held in read_records(tmp_path)) == list(range(16))


def test_the_defaults_of_its_code_are_kept_beside_a_record_and_not_written_again(tmp_path):
    write_record(tmp_path, record())
    assert read_defaults(tmp_path, "code") == default_settings()
    path = tmp_path / "defaults" / "code.json"
    path.write_text('{"A": 3}')
    write_record(tmp_path, record(1))
    assert read_defaults(tmp_path, "code") == {"A": 3}
    for damage in (path.unlink, lambda: path.write_text("[1]")):
        damage()
        with pytest.raises(DatasetError, match="code.json are not the defaults of code code"):
            read_defaults(tmp_path, "code")


@pytest.mark.parametrize(
    "text", ["{", '{"config": "agw"}', "[1]", "1", '{"options": [], "scores": {"val": 1}}']
)
def test_a_line_that_is_no_record_is_named(tmp_path, text):
    with pytest.raises(ValueError):
        parse_record(text)
    write_record(tmp_path, record())
    path = tmp_path / "small_agw.jsonl"
    path.write_text(path.read_text() + text + "\n")
    for use in (read_records, lambda folder: write_record(folder, record(1))):
        with pytest.raises(DatasetError, match=r"small_agw.jsonl, line 2: .*; delete it, or restore it"):
            use(tmp_path)
    path.write_bytes(b"\xff\n")
    with pytest.raises(DatasetError, match=r"small_agw.jsonl: "):
        read_records(tmp_path)
