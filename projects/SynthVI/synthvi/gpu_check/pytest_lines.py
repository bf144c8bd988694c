"""A plugin of pytest: a line of JSON for each test as it ends, in the file that GPU_CHECK_LINES names."""

import json
import os
from typing import Any

FILE = "GPU_CHECK_LINES"


def pytest_configure(config: Any) -> None:
    """Write lines, but not in a worker of pytest-xdist, whose reports come to the main process, too."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(LineWriter(os.environ[FILE]))


class LineWriter:
    """Writes what became of each test, with the figures of its ``record_property``."""

    def __init__(self, path: str) -> None:
        self.path = path

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Write the line of a test that ran, was skipped, or failed before or after it."""
        if report.when != "call" and report.outcome == "passed":
            return
        line = {
            "test": report.nodeid,
            "outcome": report.outcome,
            "seconds": round(report.duration, 2),
            "figures": dict(report.user_properties),
        }
        if report.outcome != "passed":
            line["why"] = _reason(report.longrepr)
        with open(self.path, "a") as file:
            file.write(json.dumps(line) + "\n")


def _reason(longrepr: Any) -> str:
    """The error's own line, or why a test was skipped."""
    if isinstance(longrepr, tuple):
        return str(longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(longrepr, "reprcrash", None)
    return str(crash.message if crash else longrepr).strip()[:600]
