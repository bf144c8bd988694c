"""docs/extending.md, run as it is written."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "extending.md").read_text()
FILES = dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", TEXT, flags=re.M | re.S))
COMMANDS = re.findall(r"^```bash\n(.*?)^```$", TEXT, flags=re.M | re.S)


@pytest.fixture(scope="module")
def worked_example(tmp_path_factory):
    """The folder in which the example's files are written and its commands have been run."""
    folder = tmp_path_factory.mktemp("worked_example")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    environment = {key: value for key, value in os.environ.items() if key != "FASTREID_DATASETS"}
    command = folder / "bin" / "vireid"  # as an installation makes it, of this checkout
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m vireid "$@"\n')
    command.chmod(0o755)
    projects = map(str, sorted((ROOT / "projects").iterdir()))
    environment |= {"PYTHONPATH": os.pathsep.join(projects), "OMP_NUM_THREADS": "1"}
    paths = (str(command.parent), str(Path(sys.executable).parent), environment["PATH"])
    environment["PATH"] = os.pathsep.join(paths)
    for commands in COMMANDS:
        run = subprocess.run(
            ["bash", "-euc", commands],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert run.returncode == 0, f"{commands}\n{run.stdout[-2000:]}\n{run.stderr[-3000:]}"
    return folder


def losses_of(folder):
    lines = (folder / "metrics.json").read_text().splitlines()
    return {key for line in lines for key in json.loads(line) if key.startswith("loss_")}


def test_every_block_is_a_file_or_a_command():
    assert set(FILES) == {
        "night_watch/loss.py",
        "night_watch/dataset.py",
        "night_watch/backbone.py",
        "night_watch.yml",
        "make_list.py",
    }
    assert TEXT.count("```") == 2 * (len(FILES) + len(COMMANDS) + TEXT.count("```toml"))


def test_the_parts_are_trained_with_and_evaluated(worked_example):
    run = worked_example / "logs" / "night_watch"
    assert losses_of(run) == {"loss_ce", "loss_tri", "loss_hetero_center"}
    row = json.loads((run / "results.json").read_text())["results"]["NightWatch"]["night-to-day"]
    assert row["trials"] == [row["mean"]]
    log = (run / "log.txt").read_text()
    assert "modality-specific: stem" in log
    (line,) = (line for line in log.splitlines() if re.match(r"\| +NightWatch \| +night-to-day \|", line))
    shown = [float(cell) for cell in line.split("|")[5:-1]]
    assert shown == [round(value, 2) for value in row["mean"].values()]


def test_the_parts_work_in_another_recipe(worked_example):
    run = worked_example / "logs" / "night_watch_pmcm"
    assert losses_of(run) == {"loss_ce", "loss_tri", "loss_c2c", "loss_part", "loss_pmml"}
    assert "night-to-day" in json.loads((run / "results.json").read_text())["results"]["NightWatch"]
