"""tools/gpu.py in its tiny form on the CPU, and what it does where a part fails."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synthvi.gpu_check.images import prepare_images
from synthvi.gpu_check.parts import LOG_LINES, Part, json_lines, run_part
from synthvi.gpu_check.report import NAMES, Report, markdown
from synthvi.gpu_check.scale import FULL, TINY
from synthvi.gpu_check.trainings import ROWS, epochs_within

ROOT = Path(__file__).parents[3]
TOOL = [sys.executable, str(ROOT / "tools" / "gpu.py")]


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """The output folder of a whole tiny check."""
    output = tmp_path_factory.mktemp("gpu")
    # Ten hours: nothing is to be cut off where the machine is busy.
    words = ["--tiny", "--device", "cpu", "--minutes", "600", "--output", str(output)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*TOOL, *words], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr + (output / NAMES[1]).read_text()[-4000:]
    return output


def test_the_tiny_check_does_every_part(checked):
    content = json.loads((checked / NAMES[0]).read_text())
    assert {name: part["outcome"] for name, part in content["parts"].items()} == dict.fromkeys(
        ("images", "tests", "step", "data", "trainings"), "done"
    )
    assert content["parts"]["images"]["figures"]["images"] == TINY.identities * 6 * TINY.images
    tests = content["parts"]["tests"]["figures"]
    assert {line["outcome"] for line in tests} <= {"passed", "skipped"}
    passed = [line["test"].rpartition("::")[2] for line in tests if line["outcome"] == "passed"]
    passed = {name.partition("[")[0] for name in passed}
    assert {"test_a_step_of_every_shipped_config_is_that_of_the_cpu", "test_a_killed_run_goes_on"} < passed
    assert {"test_two_processes_compute_what_one_does", "test_equal_on_a_gpu"} < passed
    assert any(0 < line["figures"].get("bf16: 1 - cosine", 0) < 0.05 for line in tests)
    rows = content["parts"]["trainings"]["figures"]["rows"]
    steps = TINY.epoch_steps * TINY.most_epochs
    assert {name: row["steps"] for name, row in rows.items()} == dict.fromkeys(ROWS, steps)
    for row in rows.values():
        plain, ranked = row["figures"]
        assert ranked == f"{plain} + MSER" and 0 < row["figures"][plain]["mAP"] < 100


def test_the_page_has_the_tables(checked):
    page = (checked / NAMES[1]).read_text()
    for line in ("| step of | s |", "| recipe | FastReID's own, images/s |", "| PMCM, p 0.25 | 4 |"):
        assert line in page, line
    assert "another form" not in page and "No figures" not in page


def test_without_a_gpu_it_says_what_to_do(tmp_path):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    words = [*TOOL, "--output", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    said = "error: PyTorch finds no GPU; --tiny --device cpu tries the program itself\n"
    assert (done.returncode, done.stderr) == (2, said)


def part_of(code, folder, **environment):
    return Part("part", [sys.executable, "-c", code], 1.0, folder / "part.jsonl", json_lines, environment)


def test_a_part_that_fails_keeps_its_figures_and_the_end_of_its_log(tmp_path):
    code = f"""
import os
open({str(tmp_path / "part.jsonl")!r}, "w").write('{{"a": 1}}\\n{{"b": ')
print("\\n".join(map(str, range(100))), os.environ["WHO"], float(os.environ["GPU_CHECK_SECONDS"]), flush=True)
os._exit(3)
"""
    found = run_part(part_of(code, tmp_path, WHO="me"), 60.0, tmp_path)
    assert found["outcome"] == "failed with exit status 3"
    assert found["figures"] == [{"a": 1}]
    assert len(found["log_end"]) == LOG_LINES and found["log_end"][-1] == "99 me 60.0"


def test_a_part_that_takes_too_long_is_ended_with_what_it_has_started(tmp_path):
    code = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
    found = run_part(part_of(code, tmp_path), 2.0, tmp_path)
    assert found["outcome"] == "stopped: its time was over" and found["figures"] is None
    for pid in (tmp_path / "part.log").read_text().split():
        for _ in range(100):
            if not Path(f"/proc/{pid}").exists() or ") Z" in Path(f"/proc/{pid}/stat").read_text():
                break
            time.sleep(0.05)
        else:
            raise AssertionError(f"process {pid} still runs")


def test_the_report_is_written_after_each_part_whatever_it_holds(tmp_path):
    report = Report(tmp_path, {"processor": "a CPU", "commit": "abc"}, {"command": "python tools/gpu.py"})
    failed = {"outcome": "failed with exit status 1", "figures": None, "log_end": ["oh"]}
    rows = {"rows": {"AGW": {"error": "a | b"}}}
    report.add("step", {**failed, "seconds": 2.0})
    report.add("trainings", {"outcome": "done", "seconds": 2.0, "figures": rows})
    report.add("data", {"outcome": "done", "seconds": 2.0, "figures": {"size": 3}})
    page = (tmp_path / NAMES[1]).read_text()
    assert page == markdown(json.loads((tmp_path / NAMES[0]).read_text()))
    assert "## Step: failed with exit status 1 (2.0 s)\n\nNo figures." in page
    assert "The end of step.log:\n\n```\noh\n```" in page
    assert "| AGW | a / b |" in page
    assert "The figures have another form (TypeError:" in page


def test_all_rows_fit_into_the_time_that_is_left():
    pace = {"seconds_a_step": 0.04, "beside_the_steps": 12.0}
    epochs = epochs_within(240.0, pace, FULL)
    row = epochs * FULL.epoch_steps * pace["seconds_a_step"] + pace["beside_the_steps"]
    assert 200 < len(ROWS) * row <= 0.9 * 240
    assert epochs_within(1.0, pace, FULL) == 2
    assert epochs_within(1e6, pace, FULL) == FULL.most_epochs


def test_images_that_are_there_are_not_rendered_again(tmp_path):
    first = prepare_images(tmp_path, TINY)
    assert first["images"] == TINY.identities * 6 * TINY.images
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert prepare_images(tmp_path, TINY)["images"] == first["images"]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
