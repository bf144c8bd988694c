"""The record of a run: a small JSON file that holds what decided it and what it reached."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vireid.ablation.scores import Scores
from vireid.errors import DatasetError
from vireid.files import write_atomically


@dataclass(frozen=True, eq=False)
class Record:
    """A finished run.

    Attributes:
        config, options, seed: of its row.
        settings: all settings that are no defaults.
        code, data: versions.
        steps: of training.
        train_seconds, score_seconds: wall time.
        machine: what it ran on, in words.
        scores: subset, "val" or "test" -> ranking -> scores; a record holds one of them or both.
    """

    config: str
    options: tuple[str, ...]
    seed: int
    settings: dict[str, Any]
    code: str
    data: str
    steps: int
    train_seconds: float
    score_seconds: float
    machine: str
    scores: dict[str, dict[str, Scores]]


def write_record(path: Path, record: Record) -> None:
    """Write a record, whole or not at all.

    Raises:
        MachineError: it cannot be written.
    """
    plain = {**vars(record), "options": list(record.options)}
    plain["scores"] = {
        subset: {ranking: scores.to_plain() for ranking, scores in rankings.items()}
        for subset, rankings in record.scores.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in plain.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        plain = json.loads(path.read_text())
        plain["options"] = tuple(plain["options"])
        plain["scores"] = {
            subset: {ranking: Scores.from_plain(scores) for ranking, scores in rankings.items()}
            for subset, rankings in plain["scores"].items()
        }
        return Record(**plain)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} is not the record of a run ({error}); delete it, or restore it") from None


def read_records(folder: Path) -> list[Record]:
    """All records of a folder, by file name."""
    return [read_record(path) for path in sorted(folder.glob("*.json"))]
