"""Training and scoring what an ablation lacks: each training is a process, and can be resumed."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import torch
from tqdm import tqdm

from vireid.ablation.fingerprint import code_version
from vireid.ablation.records import Record, read_record, write_record
from vireid.ablation.runs import Run, Versions, record_path
from vireid.ablation.scores import score_weights
from vireid.engine.checkpoints.checkpoint import read_checkpoint
from vireid.engine.checkpoints.digest import KEY as DIGEST
from vireid.engine.checkpoints.digest import content_digest
from vireid.engine.checkpoints.run_lock import lock_folder, unlock_folder
from vireid.errors import ConfigError, TrainingError
from vireid.files import write_atomically

MODEL, CONFIG = "model_final.pth", "config.yaml"  # what is kept of a finished run
METRICS = "metrics.json"
TORCH = f"PyTorch {torch.__version__}"
ABOUT_MODEL = ("epoch", "num_classes", "datasets", "seed", "config")  # what is kept of its checkpoint beside
_SECONDS = "seconds.txt"


@dataclass(frozen=True, eq=False)
class Training:
    """Trains and scores runs.

    Args:
        results: folder of the records.
        work: folder of logs and checkpoints, one folder for each run. Of a finished run, its last model and
            its config are left.
        versions: of code and data.
        train_net: tools/train_net.py.
        processes: trainings at a time. Without OMP_NUM_THREADS, they share the cores.
        code_now: gives the version of the code, which is asked for again before each training.
    """

    results: Path
    work: Path
    versions: Versions
    train_net: Path
    processes: int = 1
    code_now: Callable[[], str] = code_version
    _started: list[subprocess.Popen] = field(default_factory=list, init=False)
    _starting: threading.Lock = field(default_factory=threading.Lock, init=False)
    _scoring: threading.Lock = field(default_factory=threading.Lock, init=False)
    _ended: threading.Event = field(default_factory=threading.Event, init=False)

    def complete(self, runs: Sequence[Run], subset: str) -> None:
        """Train and score the runs that have no record with scores of ``subset``, which alone is scored.

        Raises:
            TrainingError: a training failed; the others are stopped, and the records of finished runs stay.
                Or another ablation works in the same folder, or the code has changed since the start.
        """
        lacking = [run for run in runs if not self._has_scores(run, subset)]
        if not lacking:
            return
        with (
            _locked(self.work),
            tqdm(total=len(runs), initial=len(runs) - len(lacking), unit="run", smoothing=0) as progress,
            _sigterm_as_interrupt(),
            ThreadPoolExecutor(self.processes) as pool,
        ):
            futures = [pool.submit(self._complete_run, run, subset, progress) for run in lacking]
            try:
                for future in as_completed(futures):
                    future.result()
                    progress.update()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._stop()
                raise

    def _has_scores(self, run: Run, subset: str) -> bool:
        path = record_path(self.results, run)
        return path.is_file() and subset in read_record(path).scores

    def _complete_run(self, run: Run, subset: str, progress: tqdm) -> None:
        """Score the model of a run; train it where there is none."""
        if self._ended.is_set():
            return
        progress.set_postfix_str(f"{run.row.name}, seed {run.seed}")
        path, folder = record_path(self.results, run), self.work / run.key
        record = read_record(path) if path.is_file() else None
        subsets = {subset}
        if record is None or not (folder / MODEL).is_file():
            if record is not None:
                progress.write(f"{run.row.name}, seed {run.seed}: {folder / MODEL} is gone; training again")
                subsets |= set(record.scores)  # a record is of one model
            record = self._train(run, folder)
        with self._scoring:
            started = time.perf_counter()
            scores = score_weights(run.cfg, str(folder / MODEL), sorted(subsets))
            seconds = round(record.score_seconds + time.perf_counter() - started, 1)
        write_record(path, replace(record, scores={**record.scores, **scores}, score_seconds=seconds))
        keep_model(folder)

    def _train(self, run: Run, folder: Path) -> Record:
        """Train a run in a process of its own; its record, without scores.

        Raises:
            TrainingError: the process failed; names its log.
        """
        if self.code_now() != self.versions.code:
            raise TrainingError("the code has changed since this ablation began; start it again")
        if (folder / MODEL).is_file() and not (folder / METRICS).is_file():
            shutil.rmtree(folder)  # of a run whose record is gone; it cannot be resumed
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "stdout.txt"
        threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // self.processes))
        command = [sys.executable, str(self.train_net), "--resume", "--config-file", run.row.config]
        started = time.perf_counter()
        with open(log, "a") as output:
            process = self._start([*command, *run.options, "OUTPUT_DIR", str(folder)], output, threads)
            status = process.wait()
        seconds = _add_seconds(folder / _SECONDS, time.perf_counter() - started)
        if status:
            self._ended.set()  # before this thread takes the next run
            raise TrainingError(f"{run.row.name}, seed {run.seed}: the training failed; see {log}")
        return Record(
            config=run.row.config,
            options=run.row.options,
            seed=run.seed,
            settings=run.settings,
            code=self.versions.code,
            data=self.versions.data,
            steps=trained_steps(folder),
            train_seconds=round(seconds, 1),
            score_seconds=0.0,
            machine=f"{platform.machine()}, {threads} threads, {run.cfg.MODEL.DEVICE}, {TORCH}",
            scores={},
        )

    def _start(self, command: list[str], output: IO[str], threads: str) -> subprocess.Popen:
        with self._starting:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": threads},
                start_new_session=True,  # Ctrl-C reaches this process alone, which then stops the trainings
            )
            self._started.append(process)
            if self._ended.is_set():
                process.terminate()
        return process

    def _stop(self) -> None:
        """Let the trainings write a checkpoint and end."""
        with self._starting:
            self._ended.set()
            for process in self._started:
                process.terminate()  # which does nothing to one that has ended


def keep_model(folder: Path) -> None:
    """Remove all but the config and the model of a finished run; of its checkpoint, all but the model."""
    content = read_checkpoint(folder / MODEL)
    kept = {"model": content["model"], **{key: content[key] for key in ABOUT_MODEL if key in content}}
    kept[DIGEST] = content_digest(kept)
    write_atomically(folder / MODEL, lambda file: torch.save(kept, file))
    for path in folder.iterdir():
        if path.name not in (MODEL, CONFIG):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def trained_steps(folder: Path) -> int:
    """The number of steps that the training in a folder has made."""
    lines = (folder / METRICS).read_text().splitlines()
    return int(json.loads(lines[-1])["iteration"]) + 1


def _add_seconds(path: Path, seconds: float) -> float:
    """Add to the time that a file holds; the sum."""
    total = seconds + (float(path.read_text()) if path.is_file() else 0.0)
    path.write_text(str(total))
    return total


@contextmanager
def _locked(work: str | Path) -> Iterator[None]:
    """Hold the lock of the folder of logs and checkpoints."""
    Path(work).mkdir(parents=True, exist_ok=True)
    try:
        lock_folder(work)
    except ConfigError:
        raise TrainingError(
            f"another ablation works in {work}: wait for its end, or choose another --work and --results; "
            "--processes N makes N trainings at a time"
        ) from None
    try:
        yield
    finally:
        unlock_folder(work)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt, so that the trainings are stopped, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
