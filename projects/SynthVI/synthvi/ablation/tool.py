"""What the tools of a checkout share: where the suites and results are, and how a tool ends."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from vireid.errors import UserError

PROJECT = Path(__file__).resolve().parents[2]
SUITES, RESULTS = PROJECT / "suites", PROJECT / "results"


def new_parser(description: str | None, examples: str = "") -> argparse.ArgumentParser:
    """Make a parser whose help shows both texts as they are written."""
    return argparse.ArgumentParser(
        description=description, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def exit_status(work: Callable[[], int]) -> int:
    """Do the work of a tool; its exit status, or that of a fault or an interruption, which is printed."""
    try:
        return work()
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130
