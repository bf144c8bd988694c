#!/usr/bin/env python
"""Try thousands of cases; print a table, and every case that is neither refused in one line nor accepted.

Each category runs in a process of its own, so that a crash is seen and counted.
"""

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Of 100 cases.
SHARES = {
    "config_values": 33,
    "damaged_files": 28,
    "list_files": 10,
    "evaluation_calls": 24,
    "stores": 3,
    "caches": 2,
}
KILLS = 6  # trainings that are killed: each takes as long as a hundred other cases
CATEGORIES = (*SHARES, "kills")


def main() -> int:
    """Run the categories; 1 where a case failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, metavar="N", help="in all (default 10000)")
    parser.add_argument("--seed", type=int, default=0, help="of the cases (default 0)")
    parser.add_argument("--only", choices=CATEGORIES, help="one category alone")
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.in_process:
        return run_here(args.only, args.cases, args.seed)
    counts = {name: args.cases * share // 100 for name, share in SHARES.items()} | {"kills": KILLS}
    if args.only:
        counts = {args.only: args.cases}
    started = time.monotonic()
    outcomes = {name: run_apart(name, count, args.seed) for name, count in counts.items()}
    print("| category | tried | refused | accepted | failed |\n| --- | --- | --- | --- | --- |")
    for name, outcome in outcomes.items():
        figures = [outcome["tried"], outcome["refused"], outcome["accepted"], len(outcome["failures"])]
        print(f"| {name.replace('_', ' ')} | {' | '.join(map(str, figures))} |")
    totals = [sum(outcome[key] for outcome in outcomes.values()) for key in ("tried", "refused", "accepted")]
    failures = [failure for outcome in outcomes.values() for failure in outcome["failures"]]
    print(f"| all | {' | '.join(map(str, totals))} | {len(failures)} |")
    print(f"\nseed {args.seed}, {time.monotonic() - started:.0f} s", file=sys.stderr)
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def run_apart(name: str, cases: int, seed: int) -> dict:
    """Run a category in a process of its own; a process that ends by itself is a failed case."""
    command = [sys.executable, str(HERE / "run.py"), "--in-process", "--only", name]
    command += ["--cases", str(cases), "--seed", str(seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    lines = done.stdout.splitlines()
    if done.returncode == 0 and lines:
        return json.loads(lines[-1])
    how = f"the process ended with status {done.returncode}"
    return {"tried": cases, "refused": 0, "accepted": 0, "failures": [f"{name}: {how}"]}


def run_here(name: str, cases: int, seed: int) -> int:
    """Run a category, and print its tally as JSON."""
    sys.path[:0] = [str(HERE), str(ROOT / "tests"), *map(str, sorted((ROOT / "projects").iterdir()))]
    import importlib

    import torch

    import vireid  # noqa: F401  (makes the toolkit importable)

    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        tally = importlib.import_module(name).fuzz(cases, seed, Path(folder))
    print(json.dumps(vars(tally)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
