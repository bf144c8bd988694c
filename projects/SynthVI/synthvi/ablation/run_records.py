"""The records of runs: what decided each and what it reached, a line of JSON in the file of its config.

Records hold the settings that were no defaults when they were written. The defaults of each version of the
code stand beside them, so that a default may change later.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from synthvi.ablation.scores import Scores
from synthvi.ablation.settings import default_settings
from vireid.errors import DatasetError
from vireid.files import write_atomically

DEFAULTS = "defaults"  # the folder of the defaults, a file for each version of the code
LOCK = ".lock"


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

    @property
    def key(self) -> tuple[str, str, str]:
        """Name what decides the run."""
        return self.code, self.data, json.dumps(self.settings, sort_keys=True)


def parse_record(text: str) -> Record:
    """Read the JSON of a record.

    Raises:
        ValueError: it is none.
    """
    try:
        plain = json.loads(text)
        plain["options"] = tuple(plain["options"])
        plain["scores"] = {
            subset: {ranking: Scores.from_plain(scores) for ranking, scores in rankings.items()}
            for subset, rankings in plain["scores"].items()
        }
        return Record(**plain)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not the record of a run: {error}") from None


def read_records(folder: Path) -> list[Record]:
    """Read all records of a folder, by file and line.

    Of two with one key, as a merge of branches may leave them, the later counts.

    Raises:
        DatasetError: names the file and the line that is none.
    """
    held = [record for path in sorted(folder.glob("*.jsonl")) for _, record in _lines(path)]
    return list({record.key: record for record in held}.values())


def read_defaults(folder: Path, code: str) -> dict[str, Any]:
    """Read the defaults of a version of the code.

    Raises:
        DatasetError: they cannot be read.
    """
    path = folder / DEFAULTS / f"{code}.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DatasetError(f"{path} are not the defaults of code {code} ({error}); restore it") from None


def write_record(folder: Path, record: Record) -> None:
    """Add a record to the file of its config, in place of the one with its key, whole or not at all.

    Several processes may write at a time. The defaults of its code are written, too, if they are not there.

    Raises:
        DatasetError: see ``read_records``.
        MachineError: it cannot be written.
    """
    plain = {**vars(record), "options": list(record.options)}
    plain["scores"] = {
        subset: {ranking: scores.to_plain() for ranking, scores in rankings.items()}
        for subset, rankings in record.scores.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record.config.rpartition('/')[2]}.jsonl"
    defaults = folder / DEFAULTS / f"{record.code}.json"
    with FileLock(folder / LOCK):
        lines = {held.key: line for line, held in _lines(path)}
        lines[record.key] = json.dumps(plain)
        text = "".join(f"{line}\n" for line in lines.values())
        if not defaults.is_file():
            defaults.parent.mkdir(exist_ok=True)
            written = json.dumps(default_settings(), indent=0) + "\n"
            write_atomically(defaults, lambda file: file.write(written.encode()))
        write_atomically(path, lambda file: file.write(text.encode()))


def _lines(path: Path) -> Iterator[tuple[str, Record]]:
    """Give the lines of a file, and their records."""
    place = str(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        for number, line in enumerate(lines, start=1):
            place = f"{path}, line {number}"
            yield line, parse_record(line)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{place}: {error}; delete it, or restore it") from None
