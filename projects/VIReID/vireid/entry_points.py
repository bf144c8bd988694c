"""What installed packages contribute: commands and methods, by entry points."""

import configparser
import importlib.metadata
import importlib.util
from importlib.metadata import EntryPoint
from pathlib import Path

from vireid.errors import ConfigError

COMMANDS = "fastreid_vi.commands"
METHODS = "fastreid_vi.methods"


def find_entry_points(group: str) -> dict[str, EntryPoint]:
    """Entry points by name: of installed packages, and of this checkout, which need not be installed.

    Args:
        group: COMMANDS or METHODS.
    """
    found = {point.name: point for point in importlib.metadata.entry_points(group=group)}
    projects = Path(__file__).resolve().parents[2]
    if projects.name == "projects":
        parser = configparser.ConfigParser(delimiters=("=",))
        parser.read(projects.parent / "entry_points.txt", encoding="utf-8")
        found |= {name: EntryPoint(name, value, group) for name, value in parser.items(group)}
    return found


def load_entry_point(point: EntryPoint) -> object:
    """What an entry point names: a module, or something in it.

    Raises:
        ConfigError: it cannot be imported: its name, the reason, and what to do.
    """
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        if getattr(error, "name", None) == "fastreid":
            raise
        raise ConfigError(
            f"{point.group} {point.name!r}: {point.value} cannot be imported "
            f"({type(error).__name__}: {error}); install its package again, or remove it"
        ) from error


def source_file(point: EntryPoint) -> Path | None:
    """The file of an entry point's module, found without importing anything; None where there is none."""
    package, *rest = point.module.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    if not rest:
        return Path(spec.origin)
    path = Path(spec.origin).parent.joinpath(*rest)
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)
