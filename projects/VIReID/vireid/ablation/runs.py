"""Which trainings an ablation is made of, and which records are theirs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from vireid.ablation.fingerprint import changed_settings, run_key
from vireid.ablation.records import Record
from vireid.ablation.scores import PLAIN
from vireid.ablation.suites import Row
from vireid.engine.rerankers import build_reranker
from vireid.errors import ConfigError

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
        ConfigError: the config file or an option is wrong, or the config does not give the row's ranking.
    """
    cfg = configure(row.config, [*row.options, "SEED", str(seed)])
    _check_ranking(row, cfg)
    settings = changed_settings(cfg, configure("", []))
    return Run(row, seed, cfg, settings, run_key(settings, versions.code, versions.data))


def _check_ranking(row: Row, cfg: CfgNode) -> None:
    if row.ranking in ("", PLAIN):
        return
    reranker = build_reranker(cfg)
    if reranker is None or reranker.label != row.ranking:
        found = "no re-ranker" if reranker is None else f"the re-ranker {reranker.label}"
        raise ConfigError(
            f"row {row.name!r} shows the ranking {row.ranking}, but {row.config} has {found}; "
            "set TEST.RERANKER, or the row's ranking"
        )


def plan_runs(rows: Sequence[Row], seeds: int, configure: Configure, versions: Versions) -> list[Run]:
    """The runs of some rows with seeds 0, 1, ...; each once, all rows of a seed before the next seed."""
    runs = [plan_run(row, seed, configure, versions) for seed in range(seeds) for row in rows]
    return list({run.key: run for run in runs}.values())


def record_path(results: Path, run: Run) -> Path:
    """Where the record of a run is, named after its config and key."""
    return results / f"{run.row.config.rpartition('/')[2]}-seed{run.seed}-{run.key}.json"


def records_of(
    row: Row,
    seeds: int,
    configure: Configure,
    records: Sequence[Record],
    codes: Sequence[str],
    data: str,
    subset: str,
) -> Found:
    """The records of a row: those with all its settings, of the same data, and with scores of a subset.

    Args:
        seeds: 0, 1, ... are looked for.
        records: of any row and version.
        codes: versions of the code; of two records of one seed, that of the earlier one in this list counts.
        data: version of the data.
        subset: "val" or "test".
    """
    fitting = [r for r in records if r.code in codes and r.data == data and subset in r.scores]
    fitting.sort(key=lambda record: codes.index(record.code))
    settings = [plan_run(row, seed, configure, Versions("", "")).settings for seed in range(seeds)]
    matches = [next((r for r in fitting if r.settings == wanted), None) for wanted in settings]
    return {seed: record for seed, record in enumerate(matches) if record is not None}
