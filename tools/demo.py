#!/usr/bin/env python
"""Generate a small dataset in SYSU-MM01's layout, train PMCM on it, and show what it learned.

Everything goes to demo/; a repeated run uses the generated images again and trains anew.
"""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tabulate import tabulate

from synthvi import generate_dataset
from vireid.evaluation.metrics import METRICS

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "demo"
CONFIG = "projects/PMCM/configs/demo.yml"  # sysu.yml with a small network and small images
SETTING = "all-search single-shot"

DATA = {"identities": 360, "test_identities": 60, "images": 8, "seed": 0, "size": (128, 64)}


def main() -> None:
    """Data, evaluation, training, evaluation, picture, table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    started = time.perf_counter()
    OUTPUT.mkdir(exist_ok=True)
    dataset = make_data()

    print("\nUntrained network: evaluating")
    before = OUTPUT / "before"
    train_net(before, "--eval-only")

    print("\nTraining PMCM")
    run = OUTPUT / "run"
    shutil.rmtree(run, ignore_errors=True)
    train_net(run)

    picture = OUTPUT / "ranking.png"
    weights = ["MODEL.WEIGHTS", str(run / "model_final.pth")]
    command = ["tools/run.py", "show", "ranking", "--config-file", CONFIG, "--output", str(picture), *weights]
    subprocess.run([sys.executable, *command], cwd=ROOT, env=environment(), check=True)

    rows = [["before training", *figures(before / "eval")], ["after", *figures(run)]]
    print(f"\nInfrared queries, visible gallery, {SETTING}, percent over 10 trials:\n")
    print(tabulate(rows, headers=["", *METRICS], tablefmt="pipe", stralign="right"))
    print(f"\nimages    {dataset}\nmodel     {run / 'model_final.pth'}\nresults   {run / 'results.json'}")
    print(f"log       {run / 'log.txt'}\nranking   {picture}")
    print(f"\n{time.perf_counter() - started:.0f} s in all")


def make_data() -> Path:
    """The generated dataset: that of an earlier run where it was made with the same settings."""
    dataset, made_with = OUTPUT / "data" / "SYSU-MM01", OUTPUT / "data" / "settings.json"
    settings = json.dumps(DATA)
    if made_with.is_file() and made_with.read_text() == settings:
        print(f"Generated images are there: {dataset}")
        return dataset
    print(f"Generating images of {DATA['identities']} persons")
    shutil.rmtree(OUTPUT / "data", ignore_errors=True)
    generate_dataset("sysu", dataset, **DATA)  # type: ignore[arg-type]
    made_with.write_text(settings)
    return dataset


def environment() -> dict[str, str]:
    """Datasets from demo/data."""
    return {**os.environ, "FASTREID_DATASETS": str(OUTPUT / "data")}


def train_net(output: Path, *arguments: str) -> None:
    """Run tools/train_net.py with the demo's settings, showing its progress in short."""
    command = [sys.executable, "tools/train_net.py", "--config-file", CONFIG, *arguments]
    command += ["OUTPUT_DIR", str(output)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if progress := re.search(r"(eta: \S+).*epoch/iter: (\d+)/(\d+)\s+(total_loss: \S+)", line):
            eta, epoch, iteration, loss = progress.groups()
            print(f"  epoch {int(epoch) + 1}, iteration {int(iteration) + 1}, {loss}, {eta}", flush=True)
    if process.wait():
        sys.exit("".join(lines[-30:]) + f"\nfailed: {' '.join(command)}")


def figures(output: Path) -> list[str]:
    """The metrics of a run's results.json, mean ± standard deviation."""
    result = json.loads((output / "results.json").read_text())["results"]["SYSUMM01"][SETTING]
    return [f"{result['mean'][name]:.2f} ± {result['std'][name]:.2f}" for name in METRICS]


if __name__ == "__main__":
    main()
