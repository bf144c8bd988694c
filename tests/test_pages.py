"""README.md and the other pages: their commands, links and names.

The commands of RUN are run from top to bottom, with the built wheel in a new virtual environment; those of
all pages are parsed.
"""

import argparse
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
from vireid import registries
from vireid.engine import full_config
from vireid.entry_points import COMMANDS, find_entry_points

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"(?:<!-- not run: ([^\n]+?) -->\n)?```(\w*)\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)")
PLACEHOLDER = "/path/to/datasets"
# The pages that are run, in this order, in one folder; the words of the blocks that are not.
RUN = {
    "README.md": ("make demo", "pip install", "Embedder.from_config"),
    "docs/training.md": ("vireid/visible",),
    "docs/evaluation.md": ("vireid convert",),
    "docs/gpus.md": ("make gpu", "--nnodes"),
    "docs/parts.md": (),
    "docs/export.md": (),
    "docs/performance.md": (),
    "docs/figures.md": ("pip install",),
}
EXTENDING = "docs/extending.md"  # run by test_extending.py
PAGES = sorted(
    str(page.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "datasets/*.md", "projects/*/*.md", "projects/VIReID/vireid/**/*.md")
    for page in ROOT.glob(pattern)
)
FILES = [
    f"/{path}" for path in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
]
# What makes every command short. It stands before the settings that a page names, which win.
SHORT = {
    **{key: value for key, value in TINY.items() if key != "MODEL.HEADS.NUM_CLASSES"},
    "MODEL.HEADS.PARTS.COUNT": 2,
    "SOLVER.MAX_EPOCH": 2,
    "SOLVER.WARMUP_EPOCHS": 0,
    "DATASETS.TRIALS": 2,
    "SOLVER.WARMUP_ITERS": 0,
    "DATALOADER.MAX_BATCHES_PER_EPOCH": 2,
    "LOGGERS": ["curves"],
    "TEST.MSER.K1": 4,
    "TEST.MSER.K2": 2,
}
# In front of the commands: they run as they are written, with small networks and data.
PRELUDE = """
set -euo pipefail
vireid() {
    case "$1 $2" in
        sweep*|splits*) with_options "$@" ;;
        "data make") words=("$@" --identities 24 --test-identities 8 --images 2 --size 64x32) ;;
        *) with_settings "$@" ;;
    esac
    command vireid "${words[@]}"
}
torchrun() { with_settings "$@"; python -m torch.distributed.run --standalone "${words[@]}"; }
with_options() {
    words=() placed=""
    for word in "$@"; do
        words+=("$word")
        if [[ "$word" == --options ]]; then words+=("${settings[@]}") placed=yes; fi
    done
    if [[ -z "$placed" ]]; then words+=(--options "${settings[@]}"); fi
    if [[ "$1" == sweep ]]; then words+=(--seeds 0); fi
}
with_settings() {
    words=() placed=""
    for word in "$@"; do
        if [[ -z "$placed" && "$word" =~ ^[A-Z_]+(\\.[A-Z_]+)*$ ]]; then
            words+=("${settings[@]}") placed=yes
        fi
        words+=("$word")
    done
    if [[ -z "$placed" && " $* " == *" --config-file "* && " $* " != *" synthvi/starter "* ]]; then
        words+=("${settings[@]}")
    fi
}
"""
# In front of docs/figures.md, which draws the model of make demo.
DEMO = """
mkdir demo && ln -s {data} demo/data
vireid train --config-file pmcm/demo OUTPUT_DIR demo/run SOLVER.MAX_EPOCH 4 SOLVER.CHECKPOINT_PERIOD 1
"""


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text):
    """List (language, code, why it is not run or "") of each fenced block."""
    return [(language, code, reason) for reason, language, code in BLOCK.findall(text)]


def commands(code):
    """Yield the words of each command of a block of bash, without variables that are set in front of it."""
    unfinished = ""
    for line in code.replace("\\\n", " ").splitlines():
        unfinished = f"{unfinished}\n{line}"
        try:
            words = shlex.split(unfinished, comments=True)
        except ValueError:  # the line ends within quotes
            continue
        unfinished = ""
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            command, words = words[:end], words[end + 1 :]
            while command and re.fullmatch(r"[A-Z_]+=.*", command[0]):
                command = command[1:]
            if command:
                yield command


def parsed(words):
    """Parse ``vireid <words>`` as its command does."""
    points = find_entry_points(COMMANDS)
    count = next(count for count in (2, 1) if ".".join(words[:count]) in points)
    parser = argparse.ArgumentParser(exit_on_error=False)
    points[".".join(words[:count])].load().add_arguments(parser)
    return parser.parse_args(words[count:])


def anchors(text):
    """Find the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", RUN)
def test_every_command_is_run_or_says_why_not(page):
    found = blocks(read(page))
    assert found and {language for language, _, _ in found} <= {"bash", "python"}
    skipped = [code for _, code, reason in found if reason]
    assert len(skipped) == len(RUN[page])
    assert all(words in code for words, code in zip(RUN[page], skipped))


def test_blocks_and_commands_are_extracted():
    text = "a\n<!-- not run: no time -->\n```bash\nls\n```\n\n```python\nprint()\n```\n"
    assert blocks(text) == [("bash", "ls\n", "no time"), ("python", "print()\n", "")]
    code = "A=1 vireid info \\\n    B '[1,\n    2]'  # why\npip install x && make demo\n"
    assert list(commands(code)) == [
        ["vireid", "info", "B", "[1,\n    2]"],
        ["pip", "install", "x"],
        ["make", "demo"],
    ]


@pytest.mark.parametrize("page", [page for page in PAGES if page != EXTENDING])
def test_every_command_has_known_arguments_and_keys(page):
    makefile, found = read("Makefile"), blocks(read(page))
    for command in (words for language, code, _ in found if language == "bash" for words in commands(code)):
        if any(mark in word for word in command for mark in ("$", "<", "...")):
            continue
        if command[:1] == ["make"]:
            assert all(f"\n{target}:" in makefile for target in command[1:] if "=" not in target)
        elif command[0] == "python" and command[1].endswith(".py"):
            assert (ROOT / command[1]).is_file(), command
        elif command[0] == "vireid" or command[0] == "torchrun":
            args = parsed(command[command.index("vireid") + 1 :])
            opts = [*getattr(args, "opts", []), *getattr(args, "options", [])]
            opts += [word for key, value, *_ in getattr(args, "vary", []) for word in (key, value)]
            full_config(getattr(args, "config_file", None) or "vireid/sysu", opts)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for path, anchor in LINK.findall(re.sub(r"```.*?```", "", read(page), flags=re.S)):
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page} links to {path}"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{page} links to {path}#{anchor}"


@pytest.mark.parametrize("page", [page for page in PAGES if page not in (EXTENDING, "CHANGELOG.md")])
def test_every_file_that_a_page_names_is_there(page):
    named = set(re.findall(r"`(?:python )?([\w/.]+\.(?:py|yml))\b[^`\n]*`", read(page))) - {"utils.py"}
    missing = {name for name in named if not any(path.endswith(f"/{name}") for path in FILES)}
    assert missing == set()


def test_the_first_page_is_short():
    assert len(read("README.md").splitlines()) <= 220


def test_the_list_of_parts_has_every_registered_one():
    named = set(re.findall(r"`(\w+)`", read("docs/parts.md")))
    kinds = [kind for kind in vars(registries).values() if isinstance(kind, registries.Registry)]
    registered = {name for kind in kinds for name in kind}
    assert len(kinds) > 5 and len(registered) > 20
    assert registered - named == set()


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Install the wheel in a virtual environment outside the checkout, and give the environment's variables.
    What the package depends on is taken from the environment of the tests."""
    folder = tmp_path_factory.mktemp("pages")
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
    for page in RUN:
        if page == "docs/figures.md":
            script.append(DEMO.format(data=data))
        for number, (language, code, reason) in enumerate(blocks(read(page))):
            if reason:
                continue
            script.append(f"echo '{page}, block {number}' >&2")
            if language == "python":
                file = tmp_path / f"{Path(page).stem}{number}.py"
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
