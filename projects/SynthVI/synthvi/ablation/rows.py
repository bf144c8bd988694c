"""Plans the trainings of an ablation, and finds the records that are theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

from yacs.config import CfgNode

from synthvi.ablation.run_records import Record
from synthvi.ablation.scores import PLAIN
from synthvi.ablation.settings import Settings, plain_settings, same_settings
from synthvi.ablation.suites import SuiteRow
from synthvi.ablation.versions import Versions
from vireid.engine import full_config
from vireid.engine.rerankers import build_reranker
from vireid.errors import ConfigError
from vireid.runs.run import Run, plan_run


def row_config(row: SuiteRow) -> CfgNode:
    """Build the config of a row.

    Raises:
        ConfigError: the config file or an option is wrong, or the config does not give the row's ranking.
    """
    cfg = full_config(row.config, row.options)
    if row.ranking in ("", PLAIN):
        return cfg
    reranker = build_reranker(cfg)
    if reranker is None or reranker.label != row.ranking:
        found = "no re-ranker" if reranker is None else f"the re-ranker {reranker.label}"
        raise ConfigError(
            f"row {row.name!r} shows the ranking {row.ranking}, but {row.config} has {found}; "
            "set TEST.RERANKER, or the row's ranking"
        )
    return cfg


def plan_rows(rows: Sequence[SuiteRow], seeds: int, work: Path, versions: Versions) -> list[Run]:
    """Plan the runs of some rows with seeds 0, 1, ...; each once, all rows of a seed before the next seed.

    Args:
        work: the folder that holds those of the runs.

    Raises:
        ConfigError: see ``row_config``.
    """
    for row in rows:
        row_config(row)
    runs: dict[Path, Run] = {}
    for seed in range(seeds):
        for row in rows:
            name, both = f"{row.name}, seed {seed}", astuple(versions)
            run = plan_run(row.config, row.options, seed, work, name=name, versions=both)
            runs.setdefault(run.folder, run)
    return list(runs.values())


def records_of(
    row: SuiteRow,
    seeds: int,
    records: Sequence[Record],
    defaults: Mapping[str, Settings],
    data: str,
    subset: str,
) -> dict[int, Record]:
    """Find the records of a row by seed: those of its config and of the same data, with scores of a subset.

    Args:
        seeds: 0, 1, ... are looked for.
        records: of any row and version.
        defaults: of versions of the code; of two records of one seed, that of the first version counts.
        data: version of the data.
        subset: "val" or "test".
    """
    settings, found = plain_settings(row_config(row)), {}
    for code in reversed(list(defaults)):
        for record in records:
            if record.code != code or record.data != data or subset not in record.scores:
                continue
            seed = record.seed
            if seed < seeds and same_settings(record.settings, defaults[code], {**settings, "SEED": seed}):
                found[seed] = record
    return dict(sorted(found.items()))
