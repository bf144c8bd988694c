"""The commands of README.md, from top to bottom, with the built wheel in a new virtual environment."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from configs import TINY

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- not run: ([^\n]+?) -->\n)?```(\w*)\n(.*?)```", re.DOTALL)
PLACEHOLDER = "/path/to/datasets"
# What makes every command short. It stands before the settings that the README names, which win.
SHORT = {
    **{key: value for key, value in TINY.items() if key != "MODEL.HEADS.NUM_CLASSES"},
    "MODEL.HEADS.PARTS.COUNT": 2,
    "SOLVER.MAX_EPOCH": 2,
    "SOLVER.WARMUP_EPOCHS": 0,
    "DATASETS.TRIALS": 2,
    "SOLVER.WARMUP_ITERS": 0,
    "DATALOADER.MAX_BATCHES_PER_EPOCH": 2,
    "LOGGERS": ["curves"],
}
# In front of the README's commands: they run as they are written, with small networks and data.
PRELUDE = """
set -euo pipefail
vireid() {
    case "$1 $2" in
        sweep*) words=("$@" --seeds 0 --options "${settings[@]}") ;;
        splits*) words=("$@" --options "${settings[@]}") ;;
        "data make") words=("$@" --identities 20 --test-identities 8 --images 2 --size 64x32) ;;
        *) with_settings "$@" ;;
    esac
    command vireid "${words[@]}"
}
torchrun() { with_settings "$@"; python -m torch.distributed.run --standalone "${words[@]}"; }
with_settings() {
    words=() placed=""
    for word in "$@"; do
        if [[ -z "$placed" && "$word" =~ ^[A-Z_]+(\\.[A-Z_]+)*$ ]]; then
            words+=("${settings[@]}") placed=yes
        fi
        words+=("$word")
    done
    if [[ -z "$placed" && " $* " == *" --config-file "* ]]; then words+=("${settings[@]}"); fi
}
"""


def blocks(text):
    """(language, code, why it is not run or "") of each fenced block."""
    return [(language, code, reason) for reason, language, code in BLOCK.findall(text)]


def test_every_command_is_run_or_says_why_not():
    found = blocks(README)
    assert {language for language, _, _ in found} == {"bash", "python"}
    skipped = [code for _, code, reason in found if reason]
    expected = ("make demo", "pip install", "Embedder.from_config", "--nnodes")
    assert len(found) >= 18 and len(skipped) == len(expected)
    assert all(words in code for words, code in zip(expected, skipped))


def test_blocks_are_extracted():
    text = "a\n<!-- not run: no time -->\n```bash\nls\n```\n\n```python\nprint()\n```\n"
    assert blocks(text) == [("bash", "ls\n", "no time"), ("python", "print()\n", "")]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The variables of a virtual environment, outside the checkout, in which the wheel is installed. What the
    package depends on is taken from the environment of the tests."""
    folder = tmp_path_factory.mktemp("readme")
    source, venv = folder / "source", folder / "venv"
    for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    build = ["wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source]
    subprocess.run([sys.executable, "-m", "pip", *map(str, build)], check=True)
    shutil.rmtree(source)
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    packages = next(venv.glob("lib/python*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    (wheel,) = folder.glob("*.whl")
    install = [venv / "bin" / "python", "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, "PATH": f"{venv / 'bin'}:{kept['PATH']}", "OMP_NUM_THREADS": "1"}


@pytest.mark.full
def test_the_commands_work_as_written(environment, tmp_path):
    data = tmp_path / "data"
    script = [
        PRELUDE,
        "settings=(",
        *(shlex.quote(str(item)) for pair in SHORT.items() for item in pair),
        ")",
    ]
    for layout, folder in (("sysu", "SYSU-MM01"), ("regdb", "RegDB"), ("llcm", "LLCM")):
        script.append(f"vireid data make --layout {layout} --output {data / folder}")
    for number, (language, code, reason) in enumerate(blocks(README)):
        if reason:
            continue
        script.append(f"echo 'README.md, block {number}' >&2")
        if language == "python":
            file = tmp_path / f"block{number}.py"
            file.write_text(code)
            code = f"python {file}"
        script.append(code.replace(PLACEHOLDER, str(data)))
    work = tmp_path / "work"
    work.mkdir()
    output = tmp_path / "output.txt"  # to be followed
    with open(output, "w") as log:
        command = ["bash", "-c", "\n".join(script)]
        ended = subprocess.run(command, cwd=work, env=environment, stdout=log, stderr=log, check=False)
    assert ended.returncode == 0, output.read_text()[-8000:]
    for file in ("ranking.png", "architecture.png", "ratios.csv", "exported/model-both.onnx", "features.npz"):
        assert (work / file).is_file()
