"""Finding the command that the command line names, and running it."""

import argparse
import ast
import importlib.metadata
import io
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import cast

from vireid import host
from vireid.entry_points import COMMANDS, find_entry_points, load_entry_point, source_file
from vireid.errors import ConfigError, MachineError, UserError, choices

DESCRIPTION = "Visible-infrared person re-identification with FastReID."
GROUPS = {
    "data": "Datasets: check, list or make one",
    "search": "Index a gallery, and find who is in an image",
    "show": "Draw a picture",
}
EPILOG = """
Each command has its own help: vireid train --help. A config is a file or a name, such as pmcm/sysu; vireid
configs lists the names. Errors in a config or in the data are one line; VIREID_TRACEBACK=1 shows where they
were raised.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: the words after ``vireid``; those of this process by default.

    Returns:
        The exit status: that of the command; 2 for what the user can mend; 1 for what the machine did, such
        as a full disk; 128 + the number of the signal that ended it: 130 after Ctrl-C, 143 after SIGTERM.
    """
    # Before torch is imported: threads that wait sleep. Spinning, they slow a busy machine tenfold.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a locale without UTF-8: an escape instead of an error
            stream.reconfigure(errors="backslashreplace")
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # PyTorch's profiler says when it starts and stops
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["--version"]:
        print(f"fastreid-vi {_version()}")
        return 0
    points = find_entry_points(COMMANDS)
    name, rest = _split(words, points)
    if name in points:
        return _run(points[name], name.split("."), rest)
    if not rest or rest[0] in ("-h", "--help"):
        print(_overview(points, name))
        return 0 if rest else 2
    known = [_below(point, name) for point in points if _is_below(point, name)]
    unknown = f"{name} {rest[0]}".strip()
    print(f"error: there is no command {unknown!r}; {choices(rest[0], set(known))}", file=sys.stderr)
    return 2


def _version() -> str:
    try:
        return importlib.metadata.version("fastreid-vi")
    except importlib.metadata.PackageNotFoundError:
        return "of a checkout, not installed"


def _split(words: list[str], points: dict[str, EntryPoint]) -> tuple[str, list[str]]:
    """The command, or the group of commands, that the first words name, and the other words."""
    name = ""
    for position, word in enumerate(words):
        longer = f"{name}.{word}" if name else word
        if not any(point == longer or _is_below(point, longer) for point in points):
            return name, words[position:]
        name = longer
        if name in points:
            return name, words[position + 1 :]
    return name, []


def _is_below(point: str, group: str) -> bool:
    return not group or point.startswith(f"{group}.")


def _below(point: str, group: str) -> str:
    """The word of a command that follows those of its group."""
    return point[len(group) + 1 if group else 0 :].split(".")[0]


def _overview(points: dict[str, EntryPoint], group: str) -> str:
    """The help of ``vireid``, or of a group of its commands."""
    lines: dict[str, str] = {}
    for name, point in sorted(points.items()):
        if _is_below(name, group):
            word = _below(name, group)
            whole = f"{group}.{word}" if group else word
            lines[word] = _summary(point) if whole == name else GROUPS.get(whole, f"Commands of {word}")
    width = max(map(len, lines), default=0) + 2
    usage = " ".join(["vireid", *filter(None, [group]), "COMMAND [ARGUMENTS]"])
    listed = "\n".join(f"  {word:{width}}{summary}" for word, summary in lines.items())
    text = GROUPS.get(group, DESCRIPTION)
    return f"usage: {usage}\n\n{text}\n\ncommands:\n{listed}\n{EPILOG}".rstrip()


def _summary(point: EntryPoint) -> str:
    """The first line of the docstring of a command's module, which is read and not imported."""
    file = source_file(point)
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) if file else None
    return text.splitlines()[0].rstrip(".") if text else f"of {point.module}"


def _run(point: EntryPoint, words: list[str], rest: list[str]) -> int:
    """Parse the arguments of a command and run it; the exit status."""
    try:
        command = cast(ModuleType, load_entry_point(point))
    except UserError as error:
        return _refuse(error)
    parser = argparse.ArgumentParser(
        prog=" ".join(["vireid", *words]),
        description=command.__doc__,
        epilog=getattr(command, "EXAMPLES", None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    args = parser.parse_args(rest)
    args.command = [*words, *rest]
    try:
        return command.run(args) or 0
    except (UserError, OSError) as error:  # OSError: a full disk, a folder that cannot be written to
        return _refuse(error)
    except ModuleNotFoundError as error:
        if error.name != host.TOOLKIT:
            raise
        return _refuse(ConfigError(f"FastReID is not installed; run `{host.INSTALL_COMMAND}`"))
    except KeyboardInterrupt as error:
        interrupted = getattr(command, "interrupted", lambda args: "")
        if _speaks():
            print(str(error) or f"interrupted{interrupted(args)}", file=sys.stderr)
        status: int = getattr(error, "exit_status", 130)
        return status


def _refuse(error: Exception) -> int:
    if os.environ.get("VIREID_TRACEBACK"):
        traceback.print_exception(error)
    if _speaks() or not isinstance(error, ConfigError):
        print(f"error: {error}", file=sys.stderr)
    return error.exit_status if isinstance(error, UserError) else MachineError.exit_status


def _speaks() -> bool:
    """Whether this process says what every process of its machine could say: a wrong config, a signal."""
    return os.environ.get("LOCAL_RANK", "0") == "0"
