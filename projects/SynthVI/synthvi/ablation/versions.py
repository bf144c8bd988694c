"""The versions of the code and of the data that decide, beside its config, what a run reaches."""

import ast
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from synthvi.checksums import FILE, digest_of
from synthvi.recipe import find_recipe

RECIPES = {"small": "synthvi-1.0-small", "full": "synthvi-1.0"}
_SHOWN = 12  # digits of a hash
# Where a training and its scoring begin. Commands are not among them: they parse arguments and print.
# vireid.data and vireid.modeling are imported by their names in a list, which no import statement shows.
ROOTS = (
    *("vireid.engine", "vireid.data", "vireid.modeling", "synthvi.ablation.scores"),
    *("pmcm", "mcja", "caj", "deen"),
)
LEFT_OUT = ("synthvi",)  # its __init__ imports the generator, whose images have a version of their own


@dataclass(frozen=True)
class Versions:
    """The versions of the code and of the data, as hashes."""

    code: str
    data: str


def data_version(size: str) -> str:
    """Find the digest of the dataset under $FASTREID_DATASETS; says so where it is not the published one.

    Args:
        size: of RECIPES.

    Raises:
        DatasetError: there is no dataset with checksums.
    """
    recipe = find_recipe(RECIPES[size])
    folder = Path(os.environ.get("FASTREID_DATASETS", "datasets")) / "SYSU-MM01"
    found = digest_of(folder)
    if found != recipe.digest:
        print(
            f"{folder / FILE} is not that of {recipe.name}: figures may differ from published ones",
            file=sys.stderr,
        )
    return found


def code_version(roots: Iterable[str] = ROOTS) -> str:
    """Hash the sources of some modules and of all that they import, without comments, docstrings and layout.

    Args:
        roots: names of modules; of what they import, the modules of the same packages count.
    """
    digest = hashlib.sha256()
    for name, path in sorted(imported_sources(roots).items()):
        digest.update(f"{name}\n{bare_source(path.read_text())}\n".encode())
    return digest.hexdigest()[:_SHOWN]


def imported_sources(roots: Iterable[str]) -> dict[str, Path]:
    """Find the files of some modules and of all that they import, by name; no module is run.

    An import anywhere in a file counts, one by a computed name does not. LEFT_OUT does not count.

    Args:
        roots: see ``code_version``.
    """
    waiting = list(roots)
    packages = {name.partition(".")[0] for name in waiting}
    found: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        known = name in found or name in LEFT_OUT or name.partition(".")[0] not in packages
        path = None if known else _source(name)
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
