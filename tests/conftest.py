"""Small generated datasets, shared by the tests that train; tools and code, run here or elsewhere."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import importlib
import logging
import sys
from pathlib import Path

import pytest
import torch

import vireid  # noqa: F401  (before any module of the toolkit: it is mended on import)
from fresh_interpreter import FreshInterpreters
from gpu_device import DEVICE, make_convolutions_exact, skip_without_device
from synthvi import generate_dataset
from vireid.commands.main import main

torch.set_num_threads(1)  # what is computed here is too little to share out
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def generated_root(tmp_path_factory):
    """A folder of datasets: SYSU-MM01, RegDB and LLCM, 12 identities each, images of 64x32."""
    root = tmp_path_factory.mktemp("datasets")
    for layout, folder in (("sysu", "SYSU-MM01"), ("regdb", "RegDB"), ("llcm", "LLCM")):
        generate_dataset(
            layout, root / folder, identities=12, images=3, seed=0, size=(64, 32), workers=1, progress=False
        )
    return root


@pytest.fixture
def datasets(generated_root, monkeypatch):
    """FASTREID_DATASETS set to the generated datasets."""
    monkeypatch.setenv("FASTREID_DATASETS", str(generated_root))
    return generated_root


@pytest.fixture(autouse=True)
def toolkit_logger():
    """The toolkit's logger is after a test what it was before: ``setup`` adds a screen and a file to it, and
    keeps its messages from pytest."""
    logger = logging.getLogger("fastreid")
    level, propagate, handlers = logger.level, logger.propagate, list(logger.handlers)
    yield
    logger.level, logger.propagate, logger.handlers = level, propagate, handlers


def pytest_runtest_setup(item):
    """Skip tests marked ``gpu`` where there is none."""
    if item.get_closest_marker("gpu"):
        skip_without_device()


@pytest.fixture
def gpu(monkeypatch):
    """The device of a test marked ``gpu``, whose convolutions are exact meanwhile."""
    for flag in ("allow_tf32", "deterministic"):  # so that they are set back
        monkeypatch.setattr(torch.backends.cudnn, flag, getattr(torch.backends.cudnn, flag))
    make_convolutions_exact()
    return DEVICE


@pytest.fixture
def run_tool(monkeypatch, capsys):
    """A function that runs tools/<name>.py in this process: (exit status, what it printed, its error)."""
    monkeypatch.syspath_prepend(ROOT / "tools")

    def run(name, *arguments):
        tool = importlib.import_module(name)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        return tool.main(), *capsys.readouterr()

    return run


@pytest.fixture
def command(monkeypatch, capsys):
    """A function that runs ``vireid <words>`` in this process: (exit status, what it printed, its error)."""
    monkeypatch.delenv("LOCAL_RANK", raising=False)

    def run(*words):
        return main([*map(str, words)]), *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def fresh_interpreters():
    """See ``FreshInterpreters``."""
    interpreters = FreshInterpreters()
    yield interpreters
    interpreters.close()


@pytest.fixture
def python(fresh_interpreters, tmp_path):
    """A function that runs code in a fresh interpreter that finds this checkout's packages."""
    projects = sorted(str(path) for path in (ROOT / "projects").iterdir())

    def run(code, *arguments, path=projects, cwd=tmp_path, **environment):
        return fresh_interpreters.run(code, *arguments, path=path, cwd=cwd, **environment)

    return run
