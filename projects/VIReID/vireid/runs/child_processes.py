"""``vireid`` in processes of its own: some runs at a time, which end with this process."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vireid.runs.run import Run


def vireid_command(*words: object) -> list[str]:
    """Build the command line that runs ``vireid`` with these words."""
    return [sys.executable, "-m", "vireid", *map(str, words)]


def child_environment(**variables: str) -> dict[str, str]:
    """Build the environment of such a process, which finds the packages that this one finds."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, **variables}


def training_command(run: "Run") -> list[str]:
    """Build the command that trains a run, or goes on with it."""
    return vireid_command("train", "--resume", *run.arguments)


def run_all(
    runs: Sequence["Run"], jobs: int, command: Callable[["Run"], list[str]] = training_command
) -> list[Path]:
    """Run the command of each run, ``jobs`` at a time; the folders of those that failed."""
    processes = Processes(jobs)
    failed: list[Path] = []

    def work(run: "Run") -> None:
        if processes.run(run, command(run)):
            failed.append(run.folder)

    processes.for_each(runs, work)
    return failed


class Processes:
    """Processes of runs, which end with this one.

    Without OMP_NUM_THREADS in the environment, they share the cores.

    Args:
        jobs: how many at a time.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self.threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // jobs))
        self._started: list[subprocess.Popen] = []
        self._starting = threading.Lock()
        self._ended = threading.Event()

    def for_each(self, runs: Sequence["Run"], work: Callable[["Run"], None]) -> None:
        """Call ``work`` with each run, ``jobs`` at a time.

        Where a call raises, or this process is interrupted, no other call begins; trainings that are under
        way write a checkpoint and end; then the error is raised.
        """
        from tqdm import tqdm

        progress = tqdm(total=len(runs), unit="run", smoothing=0)

        def begin(run: "Run") -> None:
            if self._ended.is_set():
                return
            progress.set_postfix_str(run.name)
            try:
                work(run)
            except BaseException:
                self._ended.set()  # before this thread takes the next run
                raise

        with _signals_as_interrupt(), progress, ThreadPoolExecutor(self.jobs) as pool:
            try:
                futures = [pool.submit(begin, run) for run in runs]
                for future in as_completed(futures):
                    future.result()
                    progress.update()
            except BaseException:
                self._stop()
                raise

    def run(self, run: "Run", command: Sequence[str]) -> int:
        """Run a command of a run, with its output appended to stdout.txt of the folder; the exit status."""
        with open(run.prepare(), "a") as log, self._starting:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=child_environment(OMP_NUM_THREADS=self.threads),
                start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the others
            )
            self._started.append(process)
            if self._ended.is_set():
                process.terminate()
        return process.wait()

    def _stop(self) -> None:
        with self._starting:
            self._ended.set()
            for process in self._started:
                process.terminate()  # which does nothing to one that has ended


@contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """Let SIGTERM and a closed terminal raise KeyboardInterrupt, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    before = {number: signal.getsignal(number) for name in names if (number := getattr(signal, name, None))}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
