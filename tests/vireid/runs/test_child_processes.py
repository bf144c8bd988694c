"""Runs in true processes, which here are a few lines of Python each."""

import signal
import sys
import time
from pathlib import Path

import pytest

from configs import PROJECTS
from vireid.runs.child_processes import Processes, run_all
from vireid.runs.run import LOG, plan_run

CONFIG = str(PROJECTS / "VIReID" / "configs" / "demo.yml")
# Says that it runs, and ends by SIGTERM alone, which it reports.
WAITS = """
import os, signal, sys, time
def end(*_):
    print("ended", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
print("runs", flush=True)
for number in sys.argv[1:]:
    os.kill(os.getppid(), int(number))
time.sleep(60)
"""


@pytest.fixture
def runs(tmp_path):
    """Runs of three seeds."""
    return [plan_run(CONFIG, (), seed, tmp_path) for seed in range(3)]


def python(code, *arguments):
    return [sys.executable, "-c", code, *map(str, arguments)]


def printed(run):
    return (run.folder / LOG).read_text().split()


def test_each_has_its_output_and_the_folders_of_those_that_failed_are_given(runs, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    code = "import os, sys; print('threads', os.environ['OMP_NUM_THREADS']); sys.exit({seed} == 1)"
    for _ in range(2):
        failed = run_all(runs, 2, lambda run: python(code.format(seed=run.seed)))
        assert failed == [runs[1].folder]
    assert all(printed(run) == ["threads", "3"] * 2 for run in runs)
    assert all((run.folder / "recipe.yaml").read_text() == run.cfg.dump() for run in runs)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_processes_and_no_other_starts(runs, number):
    processes, statuses = Processes(1), []

    def work(run):
        statuses.append(processes.run(run, python(WAITS, int(number))))

    handlers = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        processes.for_each(runs, work)
    assert signal.getsignal(number) == handlers
    assert statuses == [143] and printed(runs[0]) == ["runs", "ended"]
    assert [run.folder.exists() for run in runs] == [True, False, False]


def test_where_nohup_has_it_ignored_a_closed_terminal_ends_nothing(runs):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        code = "import os, signal; os.kill(os.getppid(), signal.SIGHUP)"
        assert run_all(runs, 1, lambda run: python(code)) == []
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_error_of_one_ends_the_others(runs):
    processes = Processes(2)

    def work(run):
        if run.seed == 1:
            while not (log := runs[0].folder / LOG).is_file() or "runs" not in log.read_text():
                time.sleep(0.01)
            raise ValueError("out of memory")
        processes.run(run, python(WAITS))

    with pytest.raises(ValueError, match="out of memory"):
        processes.for_each(runs, work)
    assert printed(runs[0]) == ["runs", "ended"] and not runs[2].folder.exists()


def test_a_folder_is_named_after_the_whole_config_and_the_versions(tmp_path):
    def folder(options=(), seed=0, versions=()):
        return plan_run(CONFIG, options, seed, Path("out"), "", versions=versions).folder

    other = folder(("SOLVER.GAMMA", "0.5")), folder(seed=1), folder(versions=("code",))
    assert len({folder(), *other}) == 4 and folder() == folder(("SEED", "3"))
    assert folder().name.startswith("seed0-")
