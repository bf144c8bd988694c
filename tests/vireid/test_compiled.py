"""Compiled loops and their cache on disk."""

import importlib.util

import numba
import numpy as np
import pytest

from vireid import compiled

CACHED = """
import numba
from vireid.compiled import inner, kernel

@inner
def one(value):
    return value + 1

@kernel
def increment(values):
    for i in numba.prange(len(values)):
        values[i] = one(values[i])
"""


def increment(folder):
    """What a fresh import of the cached kernel makes of 0, 1, 2."""
    spec = importlib.util.spec_from_file_location("cached", folder / "cached.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    values = np.arange(3)
    module.increment(values)
    return values.tolist()


def test_compiled_code_is_kept_and_read_again(tmp_path):
    (tmp_path / "cached.py").write_text(CACHED)
    assert increment(tmp_path) == [1, 2, 3]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")}
    assert len(before) >= 2
    assert increment(tmp_path) == [1, 2, 3]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")} == before


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", ["cut", "bit", "empty"])
def test_damaged_compiled_code_is_deleted_and_compiled_again(tmp_path, suffix, damage):
    (tmp_path / "cached.py").write_text(CACHED)
    increment(tmp_path)
    files = sorted(tmp_path.rglob(f"*.{suffix}"))
    whole = [path.read_bytes() for path in files]
    for path, content in zip(files, whole):
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"cut": content[:middle], "bit": flipped, "empty": b""}[damage])
    assert increment(tmp_path) == [1, 2, 3]
    mended = [path for path in files if path.is_file() and len(path.read_bytes()) > 32]
    assert any("increment" in path.name for path in mended)


def test_without_a_directory_for_the_cache_kernels_are_compiled_in_memory(monkeypatch):
    def no_cache(function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(compiled, "_CheckedCache", no_cache)

    @compiled.kernel
    def double(values):
        for i in numba.prange(len(values)):
            values[i] *= 2

    values = np.arange(4)
    double(values)
    assert values.tolist() == [0, 2, 4, 6]


FIRST_KERNEL = """
import numba, torch
from vireid.evaluation import rank_metrics
torch.set_num_threads(numba.config.NUMBA_NUM_THREADS + 1)
before = torch.get_num_threads()
assert rank_metrics([[0.0, 1.0]], [0], [0, 1]).mAP == 1
print(before - torch.get_num_threads())
"""


def test_the_first_kernel_leaves_the_number_of_threads_of_pytorch_as_it_is(python):
    run = python(FIRST_KERNEL)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "0"
