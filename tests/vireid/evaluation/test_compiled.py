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
