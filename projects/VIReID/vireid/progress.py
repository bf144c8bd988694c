"""Progress bars: on a terminal, of the first process alone; a log file and a pipe get none."""

import os
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def show_progress() -> bool:
    """Whether this process draws a bar."""
    return os.environ.get("RANK", "0") == "0" and sys.stderr.isatty()


def progress_bar(
    items: Iterable[Any] | None = None, *, title: str, unit: str, total: int | None = None
) -> Any:
    """A bar that goes away when it is full.

    Args:
        items: what is gone through; None where the caller counts by ``bar.update()``.
        title: what is done.
        unit: of what is counted, such as "batch".
        total: how many there are, where ``items`` cannot say it.
    """
    return tqdm(items, desc=title, unit=unit, total=total, leave=False, disable=not show_progress())
