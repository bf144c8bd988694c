"""Files that are written whole or not at all."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vireid.errors import MachineError

_TEMPORARY = re.compile(r"\..+\.(\d+)\.tmp")  # of whole_file: ".<name>.<process>.tmp"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path``, which gets its name at the end of the block. Where the block fails,
    it is removed, and ``path`` is as it was before; so it is after a kill, too.

    Raises:
        MachineError: the disk is full, or the folder has vanished.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise MachineError(f"{path} cannot be written: {error.strerror or error}") from None


def write_atomically(path: Path, write: Callable[[Any], object]) -> None:
    """Call ``write(file)`` on the file object of a ``whole_file``, which takes bytes.

    Raises:
        MachineError: see ``whole_file``.
    """
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        patient = _PatientFile(file)
        write(patient)
        patient.finish()
        os.fsync(file.fileno())


class _PatientFile:
    """A file that keeps its first error until ``finish``: PyTorch's writers, which are told of it in the
    middle of a write, end the process or hide it in a traceback."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        if self.error is None:
            try:
                self.file.write(data)
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes

    def flush(self) -> None:
        if self.error is None:
            try:
                self.file.flush()
            except OSError as error:
                self.error = error

    def finish(self) -> None:
        """Raise the error that was kept, if any."""
        self.flush()
        if self.error is not None:
            raise self.error


def clear_temporary_files(folder: Path) -> None:
    """Remove what processes of this machine left that were killed inside ``whole_file``."""
    for left in folder.glob(".*.tmp"):
        found = _TEMPORARY.fullmatch(left.name)
        if found and not _is_running(int(found[1])):
            left.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if process == os.getpid():
        return False  # this process is not writing now: its number was another's before
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
