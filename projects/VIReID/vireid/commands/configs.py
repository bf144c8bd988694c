"""List the configs that have a name.

A name stands wherever a config file does: after --config-file, and in _BASE_ of a file of your own.
"""

import argparse
import importlib.util
from pathlib import Path

EXAMPLES = """
example:
  vireid configs
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(args: argparse.Namespace) -> None:
    """Print name and file of each."""
    found = named_configs()
    width = max(map(len, found), default=0)
    for name, path in found.items():
        print(f"{name:{width}}  {path}")


def named_configs() -> dict[str, Path]:
    """Name, such as "pmcm/sysu" -> file, of this project and of each package with a method or a command.

    Files whose names start with an underscore are parts of others, and not listed.
    """
    from vireid.entry_points import COMMANDS, METHODS, find_entry_points

    points = [*find_entry_points(METHODS).values(), *find_entry_points(COMMANDS).values()]
    packages = dict.fromkeys(["vireid", *(point.module.split(".")[0] for point in points)])
    found: dict[str, Path] = {}
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            continue
        home = Path(spec.origin).parent
        for folder in (home.parent / "configs", home / "configs"):
            for path in sorted(folder.glob("[!_]*.yml")):
                found[f"{package}/{path.stem}"] = path
    return found
