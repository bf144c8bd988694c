"""What the packages may import, and how long a file may be: read from the sources, none of which is run."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from vireid import entry_points

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("projects/*/*/**/*.py"), *ROOT.glob("tools/*.py")])
LONGEST = 250

METHODS = {point.module for point in entry_points.find_entry_points(entry_points.METHODS).values()}
# From the ground up. A part imports parts of lower layers and itself; parts of one layer do not know each
# other, but for the files of the ground. A new part of the project has to be entered here.
LAYERS = [
    {
        "vireid.modality",
        "vireid.errors",
        "vireid.registries",
        "vireid.numba_loops",
        "vireid.precision",
        "vireid.progress",
        "vireid.entry_points",
        "vireid.image_names",
        "vireid.image_layouts",
        "vireid.command_line",
        "vireid.csv_rows",
        "vireid.files",
        "vireid.images",
        "vireid.meeting",
        "vireid.preprocessing",
        "vireid.host",
    },
    {"vireid.config", "vireid.evaluation"},
    {"vireid"},  # its __init__: the layers below, and on demand the packages of ON_DEMAND
    {"vireid.data", "vireid.modeling", "vireid.runs"},
    {"vireid.engine"},
    {"vireid.export"},
    {"synthvi"},  # the generator
    {*METHODS, "vireid.visualize", "vireid.inference"},
    {"synthvi.ablation", "synthvi.gpu_check"},
    {"vireid.page"},
    {"vireid.commands"},
    {"tools", "vireid.__main__"},
]
PARTS_OF_SYNTHVI = {"synthvi.ablation", "synthvi.gpu_check"}
# What vireid finds by entry points and never by name.
NEVER_NAMED = METHODS | {"synthvi"} | PARTS_OF_SYNTHVI
LAYER_OF = {part: number for number, parts in enumerate(LAYERS) for part in parts}
ON_DEMAND = {"vireid.data", "vireid.modeling", "vireid.engine"}
# Narrower than its layer: this and nothing else of the project.
ONLY = {"synthvi": {"vireid.errors"}}
# The ground and the evaluation work without the toolkit; host is what mends it.
WITHOUT_TOOLKIT = (LAYERS[0] - {"vireid.host"}) | {"vireid.evaluation", "synthvi"}


def module_name(path: Path) -> str:
    """``vireid.data.build`` for projects/VIReID/vireid/data/build.py; ``tools.demo`` for tools/demo.py."""
    relative = path.relative_to(ROOT)
    parts = relative.parts if relative.parts[0] == "tools" else relative.parts[2:]
    return ".".join(parts).removesuffix(".py").removesuffix(".__init__")


MODULES = {module_name(path): path for path in SOURCES}


def part_of(module: str) -> str:
    """The entry of LAYERS that a module belongs to; "" where it is none of this project's."""
    names = module.split(".")
    if names[0] == "vireid":
        return ".".join(names[:2])
    if f"tools.{names[0]}" in MODULES:
        return "tools"
    if ".".join(names[:2]) in PARTS_OF_SYNTHVI:
        return ".".join(names[:2])
    return names[0] if names[0] in LAYER_OF else ""


def imported(module: str, source: str) -> Iterator[str]:
    """Full names of what a module imports, anywhere in it."""
    package = (
        module if module in MODULES and MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    )
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            )
            base = ".".join(filter(None, (base, node.module)))
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                is_module = whole in MODULES or any(name.startswith(f"{whole}.") for name in MODULES)
                yield whole if is_module else base


def faults(module: str, source: str) -> list[str]:
    """What a module imports and may not."""
    part, found = part_of(module), []
    for name in imported(module, source):
        other = part_of(name)
        if name.split(".")[0] == "fastreid" and part in WITHOUT_TOOLKIT:
            found.append(f"{module} imports {name}, and is to work without the toolkit")
        if not other or other == part:
            continue
        if part in ONLY:
            allowed = other in ONLY[part]
        else:
            allowed = LAYER_OF[other] < LAYER_OF[part] or {part, other} <= LAYERS[0]
        if part.startswith("vireid") and other in NEVER_NAMED:
            allowed = False
        if not allowed and not (part == "vireid" and other in ON_DEMAND):
            found.append(f"{module} imports {name}")
    return found


def test_every_module_belongs_to_a_layer():
    assert len(MODULES) == len(SOURCES) > 80
    assert {part_of(module) for module in MODULES} <= set(LAYER_OF)


def test_modules_import_from_lower_layers_alone():
    assert [fault for module, path in MODULES.items() for fault in faults(module, path.read_text())] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("vireid.data.build", "from vireid.modeling.families import FAMILIES"),
        ("vireid.modeling.backbones", "def build():\n    import vireid.data.build"),
        ("vireid.modeling.backbones", "from vireid import data"),
        ("vireid.modeling.losses.toolkit", "from ...engine import setup"),
        ("vireid.evaluation.metrics", "from vireid.data import TrainSet"),
        ("vireid.evaluation.metrics", "import fastreid.evaluation"),
        ("vireid.registries", "from vireid.evaluation import metrics"),
        ("vireid.engine.trainer", "import mcja"),
        ("vireid.export.model", "from vireid.visualize import ranking"),
        ("mcja.multi_spectral", "from pmcm.mixing import patch_mix"),
        ("pmcm", "import demo"),
        ("synthvi.scene", "from vireid.modality import Modality"),
        ("synthvi.scene", "from synthvi.ablation import tool"),
        ("vireid.visualize.curves", "from synthvi.ablation import plots"),
        ("vireid", "import pmcm"),
        ("vireid.commands.train", "def run(args):\n    from pmcm import losses"),
        ("vireid.visualize.ranking", "import synthvi"),
        ("vireid.engine.trainer", "from vireid.commands import train"),
    ],
)
def test_an_arrow_that_points_up_or_aside_is_found(module, source):
    assert len(faults(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tools.demo", "import mcja, synthvi, vireid.engine\nfrom benchmark_ranking import main"),
        ("mcja.head", "from vireid.engine import rerankers\nfrom vireid import host\nimport fastreid"),
        ("vireid.data.build", "from vireid.evaluation import metrics\nfrom . import samplers"),
        ("synthvi.scene", "from vireid.errors import UserError\nimport numpy"),
        ("synthvi.ablation.rows", "from vireid.engine import full_config\nfrom synthvi import recipe"),
        ("vireid", "from vireid import engine, host"),
        ("pmcm.show_command", "from synthvi.pictures import person_pictures"),
        ("vireid.commands.train", "from vireid.engine import setup\nfrom vireid.visualize import ranking"),
    ],
)
def test_an_arrow_that_points_down_is_allowed(module, source):
    assert faults(module, source) == []


def test_a_file_is_short_or_says_why_not():
    """In its docstring, after the words "Longer than 250 lines:"."""
    words = f"longer than {LONGEST} lines: "
    sources = {module: path.read_text() for module, path in MODULES.items()}
    long = {module for module, source in sources.items() if len(source.splitlines()) > LONGEST}
    explained = {m for m, s in sources.items() if words in (ast.get_docstring(ast.parse(s)) or "").lower()}
    assert long == explained


def test_no_function_bears_the_name_of_its_module():
    """Where the package exports it, ``import package.name`` would give the function. ``main`` alone may."""
    alike = set()
    for module, path in MODULES.items():
        names = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        if module.rpartition(".")[2] in names - {"main"}:
            alike.add(module)
    assert alike == set()
