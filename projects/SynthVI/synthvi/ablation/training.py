"""Training and scoring what an ablation lacks."""

import json
import platform
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from tqdm import tqdm

from synthvi.ablation.run_records import Record, read_records, write_record
from synthvi.ablation.scores import score_weights
from synthvi.ablation.settings import changed_settings
from synthvi.ablation.versions import Versions, code_version
from vireid.engine.checkpoints.checkpoint import read_checkpoint
from vireid.engine.checkpoints.digest import KEY as DIGEST
from vireid.engine.checkpoints.digest import content_digest
from vireid.engine.checkpoints.run_lock import lock_folder, unlock_folder
from vireid.errors import ConfigError, TrainingError
from vireid.files import write_atomically
from vireid.runs.child_processes import Processes, training_command
from vireid.runs.run import LOG, MODEL, Run

CONFIG = "config.yaml"  # what is kept of a finished run, beside its model
METRICS = "metrics.json"
TORCH = f"PyTorch {torch.__version__}"
ABOUT_MODEL = ("epoch", "num_classes", "datasets", "seed", "config")  # what is kept of its checkpoint beside
_SECONDS = "seconds.txt"


@dataclass(frozen=True, eq=False)
class Ablation:
    """Trains and scores runs.

    Args:
        results: folder of the records.
        work: folder of logs and checkpoints, one folder for each run. Of a finished run, its last model and
            its config are left.
        versions: of code and data.
        jobs: trainings at a time.
        code_now: gives the version of the code, which is asked for again before each training.
    """

    results: Path
    work: Path
    versions: Versions
    jobs: int = 1
    code_now: Callable[[], str] = code_version
    _scoring: threading.Lock = field(default_factory=threading.Lock, init=False)

    def complete(self, runs: Sequence[Run], subset: str) -> None:
        """Train and score the runs that have no record with scores of ``subset``, which alone is scored.

        Raises:
            TrainingError: a training failed; the others are stopped, and the records of finished runs stay.
                Or another ablation works in the same folder, or the code has changed since the start.
        """
        lacking = [run for run in runs if subset not in self._record(run).scores]
        if not lacking:
            return
        processes = Processes(self.jobs)
        with _locked(self.work):
            processes.for_each(lacking, lambda run: self._complete_run(processes, run, subset))

    def _record(self, run: Run) -> Record:
        """Find the record of a run; one without scores where there is none."""
        options, settings = run.options, changed_settings(run.cfg)
        about = run.config_file, options, run.seed, settings, self.versions.code, self.versions.data
        wanted = Record(*about, steps=0, train_seconds=0.0, score_seconds=0.0, machine="", scores={})
        return next((held for held in read_records(self.results) if held.key == wanted.key), wanted)

    def _complete_run(self, processes: Processes, run: Run, subset: str) -> None:
        """Score the model of a run; train it where there is none."""
        record, model = self._record(run), run.folder / MODEL
        subsets = {subset}
        if not record.scores or not model.is_file():
            if record.scores:
                tqdm.write(f"{run.name}: {model} is gone; training again")
                subsets |= set(record.scores)  # a record is of one model
            record = self._train(processes, run, record)
        with self._scoring:
            started = time.perf_counter()
            scores = score_weights(run.cfg, str(model), sorted(subsets))
            seconds = round(record.score_seconds + time.perf_counter() - started, 1)
        scores = {**record.scores, **scores}
        write_record(self.results, replace(record, scores=scores, score_seconds=seconds))
        keep_model(run.folder)

    def _train(self, processes: Processes, run: Run, record: Record) -> Record:
        """Train a run in a process of its own; its record, without scores.

        Raises:
            TrainingError: the process failed; names its log.
        """
        if self.code_now() != self.versions.code:
            raise TrainingError("the code has changed since this ablation began; start it again")
        if (run.folder / MODEL).is_file() and not (run.folder / METRICS).is_file():
            shutil.rmtree(run.folder)  # of a run whose record is gone; it cannot be resumed
        started = time.perf_counter()
        status = processes.run(run, training_command(run))
        seconds = _add_seconds(run.folder / _SECONDS, time.perf_counter() - started)
        if status:
            raise TrainingError(f"{run.name}: the training failed; see {run.folder / LOG}")
        return replace(
            record,
            steps=trained_steps(run.folder),
            train_seconds=round(seconds, 1),
            score_seconds=0.0,
            machine=f"{platform.machine()}, {processes.threads} threads, {run.cfg.MODEL.DEVICE}, {TORCH}",
            scores={},
        )


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
    """Count the steps that the training in a folder has made."""
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
