"""Training what an ablation lacks: each run is a process of tools/train_net.py, and can be resumed."""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm
from yacs.config import CfgNode

from vireid.ablation.fingerprint import changed_settings, run_key
from vireid.ablation.records import Record, write_record
from vireid.ablation.scores import score_weights
from vireid.ablation.suites import Row
from vireid.errors import TrainingError

Found = dict[int, Record]  # by seed
Configure = Callable[[str, list[str]], CfgNode]  # (config file, options) -> merged config


@dataclass(frozen=True)
class Versions:
    """The versions of the code and of the data, as hashes."""

    code: str
    data: str


@dataclass(frozen=True)
class Run:
    """One training of a row.

    Attributes:
        settings: all that are no defaults.
        key: what decides it, as a hash.
    """

    row: Row
    seed: int
    cfg: CfgNode
    settings: dict[str, Any]
    key: str

    @property
    def options(self) -> list[str]:
        """The options of its command line, but for OUTPUT_DIR."""
        return [*self.row.options, "SEED", str(self.seed)]


def plan_run(row: Row, seed: int, configure: Configure, versions: Versions) -> Run:
    """The run of a row and a seed.

    Raises:
        ConfigError: the config file or an option is wrong.
    """
    cfg = configure(row.config, [*row.options, "SEED", str(seed)])
    settings = changed_settings(cfg, configure("", []))
    return Run(row, seed, cfg, settings, run_key(settings, versions.code, versions.data))


def plan_runs(rows: Sequence[Row], seeds: int, configure: Configure, versions: Versions) -> list[Run]:
    """The runs of some rows with seeds 0, 1, ...; each once, all rows of a seed before the next seed."""
    runs = [plan_run(row, seed, configure, versions) for seed in range(seeds) for row in rows]
    return list({run.key: run for run in runs}.values())


def record_path(results: Path, run: Run) -> Path:
    """Where the record of a run is, named after its config and key."""
    return results / f"{run.row.config.rpartition('/')[2]}-seed{run.seed}-{run.key}.json"


def complete(runs: Sequence[Run], results: Path, work: Path, versions: Versions, train_net: Path) -> None:
    """Train and score the runs that have no record, one after another.

    Args:
        results: folder of the records.
        work: folder of logs and checkpoints; those of a finished run are removed.
        train_net: tools/train_net.py.

    Raises:
        TrainingError: a training failed; the records of the runs before it stay.
    """
    lacking = [run for run in runs if not record_path(results, run).is_file()]
    progress = tqdm(total=len(runs), initial=len(runs) - len(lacking), unit="run", smoothing=0)
    with progress:
        for run in lacking:
            progress.set_postfix_str(f"{run.row.name}, seed {run.seed}")
            write_record(record_path(results, run), train_and_score(run, work / run.key, versions, train_net))
            progress.update()


def train_and_score(run: Run, folder: Path, versions: Versions, train_net: Path) -> Record:
    """Train a run in a process of its own and score its last model.

    Raises:
        TrainingError: the process failed; names its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "stdout.txt"
    command = [sys.executable, str(train_net), "--resume", "--config-file", run.row.config, *run.options]
    started = time.perf_counter()
    with open(log, "a") as output:
        process = subprocess.run(
            [*command, "OUTPUT_DIR", str(folder)], stdout=output, stderr=subprocess.STDOUT, check=False
        )
    trained = time.perf_counter()
    if process.returncode:
        raise TrainingError(f"{run.row.name}, seed {run.seed}: the training failed; see {log}")
    scores = score_weights(run.cfg, str(folder / "model_final.pth"))
    record = Record(
        config=run.row.config,
        options=run.row.options,
        seed=run.seed,
        settings=run.settings,
        code=versions.code,
        data=versions.data,
        steps=trained_steps(folder),
        train_seconds=round(trained - started, 1),
        score_seconds=round(time.perf_counter() - trained, 1),
        machine=f"{platform.machine()}, {os.environ.get('OMP_NUM_THREADS', os.cpu_count())} threads",
        scores=scores,
    )
    shutil.rmtree(folder)
    return record


def trained_steps(folder: Path) -> int:
    """The number of steps that the training in a folder has made."""
    lines = (folder / "metrics.json").read_text().splitlines()
    return int(json.loads(lines[-1])["iteration"]) + 1


def records_of(row: Row, seeds: int, configure: Configure, records: Sequence[Record], code: str) -> Found:
    """The records of a row: those of one version of the code that have all its settings.

    Args:
        seeds: 0, 1, ... are looked for.
        records: of any row and version.
    """
    settings = [plan_run(row, seed, configure, Versions(code, "")).settings for seed in range(seeds)]
    of_code = [record for record in records if record.code == code]
    matches = [next((r for r in of_code if r.settings == wanted), None) for wanted in settings]
    return {seed: record for seed, record in enumerate(matches) if record is not None}
