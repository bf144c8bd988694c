"""What Windows and macOS lack is not imported, locks have another way, and processes are spawned."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from vireid.engine.checkpoints import run_lock
from vireid.engine.writers import peak_memory
from vireid.errors import ConfigError

ROOT = Path(__file__).parents[2]

WITHOUT_UNIX = """
import multiprocessing.reduction, os, signal, sys
for name in ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "syslog"):
    sys.modules[name] = None
sys.modules["msvcrt"] = type(sys)("msvcrt")
for name in ("pread", "pwrite", "sched_getaffinity", "getuid", "geteuid", "O_NONBLOCK", "mkfifo", "fork"):
    vars(os).pop(name)
for name in ("SIGALRM", "alarm", "SIGKILL", "SIGHUP", "SIGUSR1", "setitimer", "pthread_sigmask"):
    vars(signal).pop(name)
vars(multiprocessing.reduction).pop("DupFd")
import importlib
for name in sys.argv[1:]:
    importlib.import_module(name)
from vireid.data.resized_images import check_cache
try:
    check_cache("ram")
except Exception as error:
    print(error)
"""


def packages():
    """Every module of the packages, but for those of the page, which import what draws it."""
    files = sorted(ROOT.glob("projects/*/*/**/*.py"))
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts[2:]) for file in files]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    return [name for name in names if not name.startswith("vireid.page")]


def test_every_module_is_imported_where_there_is_nothing_of_unix(python):
    run = python(WITHOUT_UNIX, *packages())
    assert run.returncode == 0, run.stderr
    assert (
        run.stdout == "DATALOADER.CACHE is 'ram', and this system has no way to keep images; set it to ''\n"
    )


def test_a_run_is_locked_without_fcntl(monkeypatch, tmp_path):
    """By msvcrt, at a place beyond what says whose the lock is."""
    places = []

    def locking(file, mode, count):
        places.append((os.lseek(file, 0, os.SEEK_CUR), mode, count))
        if len(places) > 1:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(run_lock, "fcntl", None)
    monkeypatch.setattr(run_lock, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2), raising=False)
    run_lock.lock_folder(tmp_path)
    run_lock.unlock_folder(tmp_path)
    with pytest.raises(ConfigError, match=f"in use by another run \\(process {os.getpid()} on"):
        run_lock.lock_folder(tmp_path)
    assert places == [(run_lock.UNREAD, 2, 1)] * 2


def test_peak_memory_is_unknown_without_resource(monkeypatch):
    assert peak_memory() > 1 << 20
    monkeypatch.setitem(sys.modules, "resource", None)
    assert peak_memory() == 0


SPAWNED = """
import multiprocessing, sys
if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    from configs import tiny_config
    from training import SHORT, trainer_of
    from vireid import Embedder, Gallery
    trainer = trainer_of("run", DATALOADER__NUM_WORKERS=1, DATALOADER__MAX_BATCHES_PER_EPOCH=1)
    trainer.resume_or_load(resume=False)
    results = trainer.train()
    cfg = tiny_config(**SHORT, MODEL__WEIGHTS="run/model_final.pth")
    found = Gallery.open("store", Embedder.from_config(cfg)).index(sys.argv[1])
    print("results of", *results, "and a gallery of", found.added)
"""


@pytest.mark.full
def test_training_evaluation_and_indexing_work_with_spawned_workers(datasets, tmp_path):
    (tmp_path / "spawned.py").write_text(SPAWNED)
    path = [str(ROOT / "tests"), *map(str, (ROOT / "projects").iterdir())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "spawned.py", str(datasets / "SYSU-MM01" / "cam1")]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "results of SYSUMM01 and a gallery of 36"
