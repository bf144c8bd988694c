"""A suite: the rows of an ablation table, each a config and what it changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vireid.errors import ConfigError, choices

_KEYS = {"name", "config", "set", "against", "ranking", "curve"}


@dataclass(frozen=True)
class SuiteRow:
    """One row of a suite.

    Attributes:
        name: what the table calls it.
        config: the config file, as ``--config-file`` takes it.
        options: settings that the row changes, ``KEY VALUE`` in turn.
        against: the row that it is compared with; "" for none.
        ranking: the one ranking that is shown, and compared with the plain one of ``against``; "" shows all
            rankings, each compared with the same one of ``against``.
        curve: (name of the curve, position on it), where the row is a point of one.
    """

    name: str
    config: str
    options: tuple[str, ...] = ()
    against: str = ""
    ranking: str = ""
    curve: tuple[str, float] | None = None


@dataclass(frozen=True)
class Suite:
    """A title and the rows of its table."""

    name: str
    title: str
    rows: tuple[SuiteRow, ...]

    def row(self, name: str) -> SuiteRow:
        """Find the row of that name.

        Raises:
            ConfigError: there is none.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise ConfigError(
            f"suite {self.name} has no row {name!r}; {choices(name, [r.name for r in self.rows])}"
        )


def load_suite(path: Path, prefix: str) -> Suite:
    """Read a suite from YAML.

    Args:
        path: a mapping with ``title`` and ``rows``. A row has ``name`` and ``config``, and may have ``set``
            (key -> value), ``against`` (the name of a row), ``ranking`` (such as MSER) and ``curve`` (name
            and position).
        prefix: what stands before a row's ``config``, such as "synthvi/small_".

    Raises:
        ConfigError: another form, a name twice, or a row compared with one that is not there, or that shows
            one ranking alone.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        rows = tuple(_row(entry, prefix) for entry in tree["rows"])
        suite = Suite(path.stem, tree["title"], rows)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        found = " ".join(str(error).split())
        raise ConfigError(
            f"{path}: expected title, and rows with {', '.join(sorted(_KEYS))}: {found}"
        ) from None
    names = [row.name for row in suite.rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{path}: two rows are called {twice[0]!r}")
    for row in suite.rows:
        if row.against and suite.row(row.against).ranking:
            raise ConfigError(
                f"{path}: row {row.name!r} is compared with {row.against!r}, which shows one ranking of a "
                "model; name the row that shows all of them"
            )
    return suite


def _row(entry: Mapping[str, Any], prefix: str) -> SuiteRow:
    unknown = sorted(set(entry) - _KEYS)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]}")
    options = [part for key, value in entry.get("set", {}).items() for part in (key, str(value))]
    curve = entry.get("curve")
    return SuiteRow(
        name=entry["name"],
        config=prefix + entry["config"],
        options=tuple(options),
        against=entry.get("against", ""),
        ranking=entry.get("ranking", ""),
        curve=(str(curve[0]), float(curve[1])) if curve else None,
    )
