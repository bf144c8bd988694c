"""Parts of others: installed methods, and PLUGINS of a config, imported before anything is built."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from yacs.config import CfgNode

from vireid.entry_points import METHODS, find_entry_points, load_entry_point
from vireid.errors import ConfigError, UserError


def add_methods(cfg: CfgNode) -> None:
    """Import every installed method, PMCM and MCJA among them, and let it add its keys to ``cfg``.

    A package has its method found by an entry point of the group ``fastreid_vi.methods``, a function that
    takes the config.

    Raises:
        ConfigError: one cannot be imported.
    """
    for _, add_config in adders():
        add_config(cfg)


def adders() -> Iterator[tuple[str, Callable[[CfgNode], object]]]:
    """The function of each installed method that adds its keys, and its full name."""
    for point in find_entry_points(METHODS).values():
        add_config: Any = load_entry_point(point)
        yield point.value.replace(":", "."), add_config


def load_plugins(cfg: CfgNode, names: Any, loaded: Sequence[str] = ()) -> None:
    """Import modules by name, from the working directory or the installed packages, and let each that is
    not among ``loaded`` add its keys to ``cfg`` by its ``add_config(cfg)``, where it has one.

    Raises:
        ConfigError: one cannot be imported, or its ``add_config`` fails: its name, the reason, and where it
            was looked for.
    """
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ConfigError(
            f"PLUGINS is {names!r}; expected a list of module names, such as ['night_watch.loss']"
        )
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.append(folder)
    for name in (name for name in names if name not in loaded):
        try:
            module = importlib.import_module(name)
        except UserError:
            raise
        except (Exception, SystemExit) as error:  # whatever a stranger's module does on import
            raise ConfigError(
                f"PLUGINS names {name!r}, which cannot be imported ({type(error).__name__}: {error}); "
                f"modules are looked for in {folder} and among the installed packages"
            ) from error
        if not hasattr(module, "add_config"):
            continue
        try:
            module.add_config(cfg)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise ConfigError(
                f"PLUGINS names {name!r}, whose add_config(cfg) fails ({type(error).__name__}: {error})"
            ) from error
