from types import SimpleNamespace

import numba
import numpy as np

from vireid import compiled


def test_without_a_directory_for_the_cache_kernels_are_compiled_in_memory(monkeypatch):
    def no_cache(**options):
        if options.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(compiled, "numba", SimpleNamespace(njit=no_cache))

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
