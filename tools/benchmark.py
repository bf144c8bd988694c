#!/usr/bin/env python
"""Time parts of the project on this machine, beside what others do for the same work."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse

import benchmark_data
import benchmark_processes
import benchmark_ranking
import benchmark_resume
import benchmark_search
import benchmark_step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    subparsers = parser.add_subparsers(dest="subject", required=True)
    benchmark_data.add_parser(subparsers)
    benchmark_processes.add_parser(subparsers)
    benchmark_ranking.add_parser(subparsers)
    benchmark_resume.add_parser(subparsers)
    benchmark_search.add_parser(subparsers)
    benchmark_step.add_parser(subparsers)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
