"""The command ``vireid``: which command its words name, its help, and how it ends."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from configs import PROJECTS
from vireid import entry_points
from vireid.commands import launch, main
from vireid.commands.configs import named_configs
from vireid.entry_points import COMMANDS, METHODS, find_entry_points

ROOT = Path(__file__).parents[2]
TOOLS = {"run": "vireid", "train_net": "vireid train"}


@pytest.fixture
def night_watch(monkeypatch, tmp_path):
    """Another package's commands: ``night watch``, which ends as its argument says, and a broken one."""
    folder = tmp_path / "night_watch"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    (tmp_path / "watch_command.py").write_text(
        '"""Watch.\n\nAll night."""\n'
        "from vireid.errors import *\n"
        "def add_arguments(parser):\n    parser.add_argument('error')\n"
        "def run(args):\n    raise eval(args.error)\n"
        "def interrupted(args):\n    return '; good night'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = {
        "night.watch": EntryPoint("night.watch", "watch_command", COMMANDS),
        "night.asleep": EntryPoint("night.asleep", "night_watch", COMMANDS),
    }
    monkeypatch.setattr(main, "find_entry_points", lambda group: found)


def test_help_of_all_commands_imports_nothing_large(python):
    """Neither the toolkit nor a method: their import takes seconds."""
    code = (
        "import sys; before = set(sys.modules)\n"
        "from vireid.commands.main import main\n"
        "status = main(['--help'])\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "assert not new & {'fastreid', 'torchvision', 'pmcm', 'mcja', 'synthvi'}, new\n"
        "assert not {name for name in sys.modules if name.startswith('vireid.engine')}\n"
        "sys.exit(status)"
    )
    ended = python(code)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert "  train     Train a model, and evaluate it" in lines
    assert "  show      Draw a picture" in lines


def test_the_ground_of_the_commands_does_not_import_torch():
    """It takes two seconds, which help need not wait for."""
    ground = ("__init__", "config/keys", "entry_points", "errors", "commands/main", "commands/train")
    for name in (*ground, *(f"host/{module}" for module in ("__init__", "calls", "importing", "recipes"))):
        lines = (PROJECTS / "VIReID" / "vireid" / f"{name}.py").read_text().splitlines()
        assert not [line for line in lines if line.startswith(("import torch", "from torch"))], name


def test_every_command_has_help_with_an_example(command, capsys):
    for name in find_entry_points(COMMANDS):
        words = name.split(".")
        with pytest.raises(SystemExit) as ended:
            command(*words, "--help")
        assert ended.value.code == 0
        printed = capsys.readouterr().out
        assert printed.startswith(f"usage: vireid {' '.join(words)} ")
        assert f"\n  vireid {' '.join(words)}" in printed or f"\n    vireid {' '.join(words)}" in printed, (
            name
        )


def test_a_group_lists_its_commands(command):
    status, printed, _ = command("show", "--help")
    assert status == 0
    assert "  transforms" in printed and "augmentations" in printed and "  evaluate" not in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "error: there is no command 'trian'; did you mean train? known: "),
        (["show", "rankings"], "error: there is no command 'show rankings'; did you mean ranking? known: "),
    ],
)
def test_an_unknown_command_is_named_with_the_nearest(command, words, message):
    status, printed, error = command(*words)
    assert (status, printed) == (2, "")
    assert error.startswith(message)


def test_without_a_command_the_help_is_shown(command):
    assert command()[0] == command("show")[0] == 2
    assert "usage: vireid COMMAND" in command()[1] and "usage: vireid show COMMAND" in command("show")[1]


def test_commands_of_another_package_are_listed_without_importing_it(night_watch, command):
    _, printed, _ = command("--help")
    assert "  night  Commands of night" in printed
    _, printed, _ = command("night", "--help")
    assert "  watch   Watch" in printed


@pytest.mark.parametrize(
    ("raised", "status", "error"),
    [
        ("ConfigError('SEED is 1')", 2, "error: SEED is 1\n"),
        ("OSError(28, 'No space left')", 1, "error: [Errno 28] No space left\n"),
        ("KeyboardInterrupt", 130, "interrupted; good night\n"),
        (
            "ModuleNotFoundError(name='fastreid')",
            2,
            "error: FastReID is not installed; run `pip install --no-deps fastreid==1.4.0`\n",
        ),
    ],
)
def test_how_a_command_ends(night_watch, command, raised, status, error):
    assert command("night", "watch", raised) == (status, "", error)


def test_what_is_no_fault_of_the_user_is_raised(night_watch, command):
    with pytest.raises(ZeroDivisionError):
        command("night", "watch", "ZeroDivisionError()")


def test_where_an_error_was_raised_is_shown_on_demand(night_watch, command, monkeypatch):
    monkeypatch.setenv("VIREID_TRACEBACK", "1")
    _, _, error = command("night", "watch", "ConfigError('SEED is 1')")
    assert "Traceback" in error and error.endswith("error: SEED is 1\n")


def test_a_command_that_cannot_be_imported_is_an_error(command, monkeypatch):
    point = EntryPoint("stats", "no_such_package.stats", COMMANDS)
    monkeypatch.setattr(main, "find_entry_points", lambda group: {"stats": point})
    status, _, error = command("stats")
    assert status == 2
    assert "'stats': no_such_package.stats cannot be imported (ModuleNotFoundError" in error


def test_installed_packages_add_commands_and_methods(monkeypatch):
    other = EntryPoint("night", "night_watch:add_config", METHODS)
    monkeypatch.setattr(entry_points.importlib.metadata, "entry_points", lambda group: [other])
    assert list(find_entry_points(METHODS)) == ["night", "pmcm", "mcja", "caj", "deen"]


def test_named_configs_are_those_that_a_config_file_may_name():
    names = named_configs()
    assert {"vireid/sysu", "pmcm/demo", "mcja/llcm", "synthvi/small_agw"} <= set(names)
    assert not [name for name in names if "/_" in name]
    assert names["pmcm/sysu"].samefile(PROJECTS / "PMCM" / "configs" / "sysu.yml")


@pytest.mark.parametrize("installed", [True, False])
def test_the_version(command, monkeypatch, installed):
    def version(name):
        if installed:
            return "3.1"
        raise main.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(main.importlib.metadata, "version", version)
    expected = "3.1" if installed else "of a checkout, not installed"
    assert command("--version") == (0, f"fastreid-vi {expected}\n", "")


def test_several_processes_are_started_by_torchrun(command, monkeypatch):
    def replace(file, words, environment):
        started.append(words)
        raise SystemExit(0)

    started = []
    monkeypatch.setattr(launch.os, "execve", replace)
    for options in (
        ["--num-gpus", "2"],
        ["--num-machines", "3", "--machine-rank", "1", "--dist-url", "tcp://first:29501"],
    ):
        with pytest.raises(SystemExit):
            command("train", *options, "--config-file", "pmcm/sysu", "SEED", "1")
    run = ["-m", "vireid", "train"]
    rest = ["--config-file", "pmcm/sysu", "SEED", "1"]
    assert started[0][3:] == ["--nproc_per_node=2", "--standalone", *run, "--num-gpus", "2", *rest]
    assert started[1][3:8] == [
        *("--nproc_per_node=1", "--nnodes=3", "--node_rank=1", "--master_addr=first", "--master_port=29501")
    ]


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_a_tool_is_a_command(tool, monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])
    monkeypatch.setattr(sys, "argv", [f"{tool}.py", "--help"])
    code = compile((ROOT / "tools" / f"{tool}.py").read_text(), tool, "exec")
    with pytest.raises(SystemExit) as ended:
        exec(code, {"__name__": "__main__"})
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {TOOLS[tool]} ")
