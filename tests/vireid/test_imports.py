"""Order of imports, each in a fresh interpreter: what is imported, mended and registered by which."""

import json

import pytest

REGISTERED = """
import json
from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY
from vireid import registries
ours = ("build_timm_backbone", "build_vit_map_backbone")
print(json.dumps({
    "datasets": [name for name in ("SYSUMM01", "RegDB", "LLCM") if name in DATASET_REGISTRY._obj_map],
    "backbones": [name for name in ours if name in BACKBONE_REGISTRY._obj_map],
    "models": "VIReID" in META_ARCH_REGISTRY._obj_map,
    "empty": [name for name, value in vars(registries).items() if name.endswith("_REGISTRY") and not value],
}))
"""
EVERYTHING = {
    "datasets": ["SYSUMM01", "RegDB", "LLCM"],
    "backbones": ["build_timm_backbone", "build_vit_map_backbone"],
    "models": True,
    # Only methods have batch transforms.
    "empty": ["BATCH_TRANSFORM_REGISTRY", "PUBLISHED_REGISTRY"],
}


@pytest.mark.parametrize(
    "order",
    [
        "import vireid\nimport fastreid",
        "import fastreid\nimport vireid",
        "import vireid.evaluation\nimport fastreid.data",
        "import vireid.data",
        "import vireid.modeling",
        "import vireid.engine",
        "import vireid\nvireid.engine.VIReIDTrainer",
        "import vireid, importlib.util\nassert importlib.util.find_spec('fastreid').name == 'fastreid'",
    ],
)
def test_everything_is_registered_in_any_order(python, order):
    run = python(order + REGISTERED)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == EVERYTHING
    assert "Cython" not in run.stderr  # which the toolkit asks for, and which its metrics alone need


@pytest.mark.parametrize("method", ["pmcm", "mcja"])
@pytest.mark.parametrize("order", ["import {}", "import fastreid\nimport {}"])
def test_a_method_registers_itself_and_the_base(python, method, order):
    run = python(
        order.format(method)
        + REGISTERED
        + "from vireid.registries import LOSS_REGISTRY\nprint(*LOSS_REGISTRY)"
    )
    assert run.returncode == 0, run.stderr
    registered, losses = run.stdout.splitlines()
    empty = {"pmcm": "PUBLISHED_REGISTRY", "mcja": "BATCH_TRANSFORM_REGISTRY"}  # filled by the other
    expected = EVERYTHING | {"empty": [empty[method]]}
    assert json.loads(registered) == expected
    own = {"pmcm": "PatchMixedModalityLoss", "mcja": "CrossModalityRetrievalLoss"}
    assert [name for name, loss in own.items() if loss in losses.split()] == [method]


EXECUTED = """
import importlib.machinery, importlib.util, sys
executed = []
run_module = importlib.machinery.SourceFileLoader.exec_module
def count(self, module):
    executed.append(module.__name__)
    run_module(self, module)
importlib.machinery.SourceFileLoader.exec_module = count
import vireid
importlib.util.find_spec("fastreid")
import fastreid
first = fastreid
import fastreid, vireid.engine, pmcm, mcja
assert fastreid is first
assert "vireid.host" not in {type(finder).__module__ for finder in sys.meta_path}
print(executed.count("fastreid"), executed.count("vireid.data"), type(fastreid.__spec__.loader).__name__)
"""


def test_the_toolkit_is_executed_once_and_left_with_its_own_loader(python):
    run = python(EXECUTED)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["1", "1", "SourceFileLoader"]


def test_the_evaluation_imports_neither_the_toolkit_nor_what_needs_it(python):
    run = python(
        "import sys, vireid.evaluation\n"
        "print([name for name in ('fastreid', 'vireid.data', 'vireid.modeling', 'vireid.engine', 'faiss',"
        " 'torchvision') if name in sys.modules])"
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


WITHOUT_FASTREID = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name.split(".")[0] == "fastreid" else found(name, *a)
import vireid, pmcm, mcja
from vireid.evaluation import SYSUProtocol, rank_metrics
from pmcm import patch_mix
from mcja import soft_rank
print("fastreid" in sys.modules)
"""


def test_without_the_toolkit_the_pure_parts_work_and_a_warning_says_how_to_install_it(python):
    run = python(WITHOUT_FASTREID)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "False"
    assert "pip install --no-deps fastreid==1.4.0" in run.stderr
