"""What decides a run: the code, the settings that are no defaults, and the data."""

import ast
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from vireid.config_keys import leaves

_SHOWN = 12  # digits of a hash
# Packages that no training or evaluation imports.
_LEFT_OUT = ("ablation", "visualize")


def code_version(packages: Iterable[Path]) -> str:
    """A hash of the sources of some packages, without comments, docstrings and layout.

    Args:
        packages: their folders; each is hashed with its name.
    """
    digest = hashlib.sha256()
    for folder in packages:
        for path in sorted(folder.rglob("*.py")):
            relative = path.relative_to(folder)
            if relative.parts[0] not in _LEFT_OUT:
                digest.update(
                    f"{folder.name}/{relative.as_posix()}\n{bare_source(path.read_text())}".encode()
                )
    return digest.hexdigest()[:_SHOWN]


def bare_source(source: str) -> str:
    """A module's source without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def changed_settings(
    cfg: CfgNode, defaults: CfgNode, left_out: Iterable[str] = ("OUTPUT_DIR",)
) -> dict[str, Any]:
    """The settings of ``cfg`` that differ from the defaults, by their full key, as plain values."""
    default = dict(leaves(defaults))
    return {
        key: list(value) if isinstance(value, (list, tuple)) else value
        for key, value in leaves(cfg)
        if key not in left_out and value != default.get(key)
    }


def run_key(settings: Mapping[str, Any], code: str, data: str) -> str:
    """A hash of what decides a run. With the code, the settings that are not in it are its defaults."""
    lines = [f"{key}: {settings[key]!r}" for key in sorted(settings)]
    return hashlib.sha256("\n".join([code, data, *lines]).encode()).hexdigest()[:_SHOWN]
