"""Files: looked at before they are read, named before they are written, and written whole or not at all."""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, cast

from vireid.errors import ConfigError, MachineError

PICTURES = (".png", ".jpg", ".pdf")  # suffixes that Pillow writes
IRREGULAR = "no regular file, but a pipe, a socket or a device"


def fault_of_file(path: str | PathLike[str], most_bytes: int | None = None) -> str:
    """Why a file cannot be read, in words that follow its name; "" where nothing speaks against it.

    Args:
        most_bytes: the size above which it is refused.
    """
    try:
        status = os.stat(path)
    except ValueError:  # a zero byte in the path
        return "is no file name"
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if stat.S_ISDIR(status.st_mode):
        return "is a folder"
    if not stat.S_ISREG(status.st_mode):
        return f"is {IRREGULAR}"
    if most_bytes is not None and status.st_size > most_bytes:
        return f"has {status.st_size} bytes, and more than {most_bytes} are not read"
    return ""


def open_regular(path: str | PathLike[str], buffering: int = -1) -> BinaryIO:
    """Open a file to read its bytes, without waiting.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """

    def without_waiting(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))

    file = open(path, "rb", buffering=buffering, opener=without_waiting)  # noqa: SIM115  (the caller closes it)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, f"it is {IRREGULAR}")
    return cast(BinaryIO, file)


# What a file cannot help: the machine is short of something, or its disk or network fails.
_MACHINE = (
    *("EMFILE", "ENFILE", "ENOMEM", "EIO", "ENOSPC", "EDQUOT"),
    *("ESTALE", "ETIMEDOUT", "EAGAIN", "EHOSTDOWN", "ENOTCONN"),
)


def refuse_machine_fault(error: BaseException, file: object) -> None:
    """Raise MachineError where reading a file failed for no fault of the file's."""
    number = getattr(error, "errno", None) or 0
    short = isinstance(error, MemoryError) or "can't allocate memory" in str(error)  # as PyTorch says it
    if short or errno.errorcode.get(number) in _MACHINE:
        reason = "too little memory" if short else getattr(error, "strerror", None)
        raise MachineError(f"{file} cannot be read now: {reason}") from error


_TEMPORARY = re.compile(r"\..+\.(\d+)\.tmp")  # of whole_file: ".<name>.<process>.tmp"


def output_file(path: str | Path, suffixes: Sequence[str] = ()) -> Path:
    """Check the name of a file that will be written, and make its folder.

    Args:
        suffixes: that it may have; (): any.

    Raises:
        ConfigError: another suffix, a folder, or a folder that cannot be made.
    """
    path = Path(path)
    if suffixes and path.suffix.lower() not in suffixes:
        raise ConfigError(f"{path}: expected the name of a file that ends in {', '.join(suffixes)}")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file in it")
    output_folder(path.parent)
    return path


def output_folder(path: str | Path) -> Path:
    """Make a folder that files will be written to.

    Raises:
        ConfigError: it cannot be made.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the folder {path} cannot be made ({error.strerror})") from None
    return path


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
    if os.name == "nt":
        return True  # there, a signal 0 would interrupt the process
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
