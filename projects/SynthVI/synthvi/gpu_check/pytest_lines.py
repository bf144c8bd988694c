"""A plugin of pytest: a line of JSON for each test as it ends, in the file that GPU_CHECK_LINES names."""

import json
import os
from typing import Any

FILE = "GPU_CHECK_LINES"


def pytest_runtest_logreport(report: Any) -> None:
    """Write what became of a test, with the figures of its ``record_property``."""
    within_worker = "PYTEST_XDIST_WORKER" in os.environ  # whose reports come to the main process, too
    if within_worker or not (report.when == "call" or report.outcome != "passed"):
        return
    line = {
        "test": report.nodeid,
        "outcome": report.outcome,
        "seconds": round(report.duration, 2),
        "figures": dict(report.user_properties),
    }
    if report.outcome != "passed":
        line["why"] = _reason(report.longrepr)
    with open(os.environ[FILE], "a") as file:
        file.write(json.dumps(line) + "\n")


def _reason(longrepr: Any) -> str:
    """The error's own line, or why a test was skipped."""
    if isinstance(longrepr, tuple):
        return str(longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(longrepr, "reprcrash", None)
    return str(crash.message if crash else longrepr).strip()[:600]
