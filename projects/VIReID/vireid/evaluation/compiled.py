"""Compiling the package's loops with Numba: to disk where possible, one parallel region at a time."""

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

# Numba's fallback threading layer ends the process when two threads enter parallel regions at once.
_PARALLEL_REGION = threading.Lock()


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no directory that a cache can be written to: compile in every process
        return numba.njit(**options)(function)


def inner(function: Function) -> Function:
    """Compile a function that is called from kernels only."""
    return _compile(function)


def kernel(function: Function) -> Function:
    """Compile a loop over ``numba.prange``, without fast-math: the same numbers for any thread count."""
    compiled = _compile(function, parallel=True, nogil=True)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        with _PARALLEL_REGION:
            return compiled(*arguments)

    return call  # type: ignore[return-value]
