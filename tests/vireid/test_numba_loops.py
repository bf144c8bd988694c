"""Compiled loops and their cache on disk."""

import importlib.util

import numba
import numpy as np

from vireid import numba_loops

CACHED = """
import numba
from vireid.numba_loops import inner, kernel

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


def test_without_a_directory_for_the_cache_kernels_are_compiled_in_memory(monkeypatch):
    njit, asked = numba.njit, []

    def no_cache(*, cache=False, **options):
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", no_cache)

    @numba_loops.kernel
    def double(values):
        for i in numba.prange(len(values)):
            values[i] *= 2

    values = np.arange(4)
    double(values)
    assert values.tolist() == [0, 2, 4, 6]
    assert asked == [True, False]


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
