"""Compiling loops with Numba: kept on disk where possible, one parallel loop at a time."""

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import torch

Function = TypeVar("Function", bound=Callable[..., Any])

# Numba's fallback threading layer ends the process when two threads run parallel loops at once.
_PARALLEL_LOOP = threading.Lock()


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder for the cache can be written: every process compiles
        return numba.njit(**options)(function)


def inner(function: Function) -> Function:
    """Compile a sequential function; compiled code and Python may both call it."""
    return _compile(function)


def kernel(function: Function) -> Function:
    """Compile a function with a loop over ``numba.prange``; only Python may call it.

    There is no fast-math, so that the numbers do not depend on the number of threads. Numba's number of
    threads is NUMBA_NUM_THREADS; PyTorch's stays what it is.
    """
    compiled = _compile(function, parallel=True, nogil=True)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        threads = torch.get_num_threads()
        with _PARALLEL_LOOP:
            try:
                return compiled(*arguments)
            finally:
                # Numba's first loop sets the number of threads of OpenMP, which is PyTorch's too: where
                # processes share the cores, each of them would go on with a thread for every core.
                if torch.get_num_threads() != threads:
                    torch.set_num_threads(threads)

    return call  # type: ignore[return-value]
