"""Small generated datasets, shared by the tests that train; tools, run in this process."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

import vireid  # noqa: F401  (before any module of the toolkit: it is mended on import)
from synthvi import generate_dataset

torch.set_num_threads(2)


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


@pytest.fixture
def run_tool(monkeypatch, capsys):
    """A function that runs tools/<name>.py in this process: (exit status, what it printed, its error)."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "tools")

    def run(name, *arguments):
        tool = importlib.import_module(name)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        return tool.main(), *capsys.readouterr()

    return run
