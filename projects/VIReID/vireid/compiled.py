"""Compiling loops with Numba: kept on disk where possible, one parallel loop at a time."""

import contextlib
import functools
import hashlib
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import torch
from numba.core.caching import FunctionCache, IndexDataCacheFile

Function = TypeVar("Function", bound=Callable[..., Any])

# Numba's fallback threading layer ends the process when two threads run parallel loops at once.
_PARALLEL_LOOP = threading.Lock()


class _CheckedFiles(IndexDataCacheFile):  # type: ignore[misc]
    """The files of a function's compiled code, each with a digest before its content.

    Numba would fail at a damaged file, or run what is in it; here it is deleted, and the function compiled
    again.
    """

    def _load_index(self) -> dict[Any, str]:
        version, stamp, names = self._read(Path(self._index_path)) or (None, None, {})
        return names if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        content = self._read(Path(self._data_path(name)))
        if content is None:
            raise OSError("no such file")  # what Numba expects then
        return content

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

    def _write(self, path: str, content: Any) -> None:
        packed = self._dump(content)
        with self._open_for_write(path) as file:
            file.write(hashlib.sha256(packed).digest() + packed)

    def _read(self, path: Path) -> Any:
        try:
            digest, packed = (content := path.read_bytes())[:32], content[32:]
        except OSError:
            return None
        if hashlib.sha256(packed).digest() != digest:
            path.unlink(missing_ok=True)
            return None
        return pickle.loads(packed)


class _CheckedCache(FunctionCache):  # type: ignore[misc]
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _CheckedFiles(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=self._impl.locator.get_source_stamp(),
        )


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    compiled = numba.njit(**options)(function)
    # Where no cache can be written, every process compiles.
    with contextlib.suppress(RuntimeError, OSError):
        compiled._cache = _CheckedCache(function)
    return compiled


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
