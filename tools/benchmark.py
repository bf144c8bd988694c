#!/usr/bin/env python
"""Time parts of the project on this machine, beside what others do for the same work."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
from pathlib import Path

import benchmark_data
import benchmark_processes
import benchmark_ranking
import benchmark_resume
import benchmark_search
import benchmark_step

# Each has EXAMPLES, add_arguments(parser), run(arguments), and a docstring whose first line ends in what it
# measures.
SUBJECTS = {
    "data": benchmark_data,
    "processes": benchmark_processes,
    "ranking": benchmark_ranking,
    "resume": benchmark_resume,
    "search": benchmark_search,
    "step": benchmark_step,
}


def main() -> None:
    """Measure the subject that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    subparsers = parser.add_subparsers(dest="subject", required=True)
    for name, subject in SUBJECTS.items():
        about = subject.__doc__ or ""
        own = subparsers.add_parser(
            name,
            help=about.splitlines()[0].partition(": ")[2].rstrip("."),
            description=about,
            epilog=subject.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        own.add_argument("--json", metavar="FILE", type=Path, help="write the figures there as well")
        subject.add_arguments(own)
    arguments = parser.parse_args()
    SUBJECTS[arguments.subject].run(arguments)


if __name__ == "__main__":
    main()
