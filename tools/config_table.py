#!/usr/bin/env python
"""Write the tables of docs/config.md: every config key with its default, what it may hold and what it does.

Meanings are the comments in the files that add the keys, so this runs in a checkout alone.
"""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "config.md"
START, END = "<!-- tables -->", "<!-- /tables -->"
# What follows a comment: add("KEY", ...) in a config.py, "KEY": rule in the table of the toolkit's keys.
ENTRY = re.compile(r'\s*(?:add\()?"([A-Z0-9_.]+)"[,:]')
TOOLKIT = "projects/VIReID/vireid/config/toolkit_keys.py"
METHODS = {
    "Keys of every method": ROOT / "projects/VIReID/vireid/config/keys.py",
    **{f"Keys of {file.parts[-3]}": file for file in sorted(ROOT.glob("projects/*/*/config.py"))},
}
# The default depends on the machine.
DEFAULTS = {"MODEL.DEVICE": "cuda, or cpu where there is no GPU"}


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help=f"default: {PAGE}")
    page = parser.parse_args().page
    before, _, rest = page.read_text().partition(START)
    page.write_text(f"{before}{START}\n{tables()}\n{END}{rest.partition(END)[2]}")
    return 0


def tables() -> str:
    """A section with a table for each file that adds keys, and one for the toolkit's own."""
    from fastreid.config import get_cfg

    from vireid.config.rules import RULES, leaves
    from vireid.engine import full_config

    values = dict(leaves(full_config("", [])))
    of_toolkit = dict(leaves(get_cfg()))
    sections = []
    for title, file in METHODS.items():
        meanings = dict(comments(file.read_text()))
        rows = [
            [f"`{key}`", shown(key, values[key]), RULES[key].expected, meaning]
            for key, meaning in meanings.items()
        ]
        sections.append(f"## {title}\n\n{table(['key', 'default', 'may hold', 'meaning'], rows)}")
    meanings = dict(comments((ROOT / TOOLKIT).read_text()))
    rows = []
    for key in sorted(key for key in RULES if key in of_toolkit):
        changed = shown(key, values[key]) if values[key] != of_toolkit[key] or key in DEFAULTS else ""
        rows.append([f"`{key}`", changed, RULES[key].expected, meanings.get(key, "")])
    heads = ["key", "default, where it is another", "may hold", "meaning, where it is another"]
    sections.append(f"## Keys of the toolkit\n\n{table(heads, rows)}")
    return "\n\n".join(sections)


def comments(source: str) -> Iterator[tuple[str, str]]:
    """(key, comment) of each entry of a source; entries without one of their own have that of the entry
    above them in the same block."""
    block: list[str] = []
    taken = False  # whether the comment belongs to an entry already
    for line in source.splitlines():
        stripped = line.strip()
        entry = ENTRY.match(line)
        if stripped.startswith("# "):
            block = [*([] if taken else block), stripped[2:]]
            taken = False
        elif entry:
            yield entry[1], " ".join(block)
            taken = True
            if '":' in line:  # a table's entries stand alone
                block = []
        elif not stripped:
            block, taken = [], False


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(key: str, value: Any) -> str:
    """A default as a YAML file has it."""
    if isinstance(value, list | tuple):
        value = list(value)
    return DEFAULTS.get(key, f"`{value!r}`" if isinstance(value, str) else f"`{value}`")


if __name__ == "__main__":
    sys.exit(main())
