"""What decides a run: the code, the settings that are no defaults, and the data."""

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from vireid.config.rules import leaves

_SHOWN = 12  # digits of a hash
# Where a training and its scoring begin. Commands are not among them: they parse arguments and print.
# vireid.data and vireid.modeling are imported by their names in a list, which no import statement shows.
ROOTS = ("vireid.engine", "vireid.data", "vireid.modeling", "vireid.ablation.scores", "pmcm", "mcja")


def code_version(roots: Iterable[str] = ROOTS) -> str:
    """A hash of the sources of some modules and of all that they import, without comments, docstrings and
    layout.

    Args:
        roots: names of modules; of what they import, the modules of the same packages count.
    """
    digest = hashlib.sha256()
    for name, path in sorted(imported_sources(roots).items()):
        digest.update(f"{name}\n{bare_source(path.read_text())}\n".encode())
    return digest.hexdigest()[:_SHOWN]


def imported_sources(roots: Iterable[str]) -> dict[str, Path]:
    """The files of some modules and of all that they import, by name; no module is run.

    An import anywhere in a file counts, one by a computed name does not.

    Args:
        roots: see ``code_version``.
    """
    waiting = list(roots)
    packages = {name.partition(".")[0] for name in waiting}
    found: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        path = None if name in found or name.partition(".")[0] not in packages else _source(name)
        if path is not None:
            found[name] = path
            waiting += [name.rpartition(".")[0], *_imports(path, name)]
    return found


def _source(name: str) -> Path | None:
    """The file of a module; None where the name is not that of a module."""
    package, *rest = name.split(".")
    spec = importlib.util.find_spec(package) if package else None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent.joinpath(*rest)
    candidates = (path / "__init__.py", path.with_suffix(".py")) if rest else (Path(spec.origin),)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _imports(path: Path, name: str) -> Iterator[str]:
    """Names that a module imports: of modules, and of what may be modules."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


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
