"""A lock on a run's folder: two runs in one OUTPUT_DIR would overwrite each other."""

import logging
import os
import socket
from pathlib import Path

from fastreid.utils import comm

from vireid.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

logger = logging.getLogger("fastreid.vireid.run_lock")

NAME = ".lock"
UNREAD = 1 << 20  # a place beyond what is written
_held: dict[Path, int] = {}  # folder -> descriptor of its lock


def lock_run(folder: str | Path) -> None:
    """``lock_folder`` by the first process, which writes a run's files, for all of them.

    Raises:
        ConfigError: on every process.
    """
    refusal = ""
    if comm.is_main_process():
        try:
            lock_folder(folder)
        except ConfigError as error:
            refusal = str(error)
    refusal = comm.all_gather(refusal)[0]
    if refusal:
        raise ConfigError(refusal)


def lock_folder(folder: str | Path) -> None:
    """Hold the lock of a folder until ``unlock_folder`` or the end of this process, however it ends.

    A process may lock a folder that it holds already. The lock is one of the process, not of its file
    descriptors: worker processes do not inherit it.

    Raises:
        ConfigError: another process holds it; names the process and its machine.
    """
    place = Path(folder).resolve()
    if place in _held:
        return
    file = os.open(place / NAME, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _take(file)
    except (BlockingIOError, PermissionError):
        holder = os.read(file, 200).decode(errors="replace").strip() or "unknown"
        os.close(file)
        raise ConfigError(
            f"OUTPUT_DIR {folder} is in use by another run (process {holder}): wait for its end, end it, "
            "or choose another OUTPUT_DIR"
        ) from None
    except OSError as error:  # a file system without locks
        os.close(file)
        logger.warning(f"{folder} cannot be locked against a second run ({error.strerror})")
        return
    os.ftruncate(file, 0)
    os.write(file, f"{os.getpid()} on {socket.gethostname()}\n".encode())
    _held[place] = file


def _take(file: int) -> None:
    """Lock an open file.

    Raises:
        OSError: another process has it, BlockingIOError or PermissionError; or the disk knows no locks.
    """
    if fcntl is not None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    os.lseek(file, UNREAD, os.SEEK_SET)  # a byte that is locked on Windows cannot be read
    try:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    finally:
        os.lseek(file, 0, os.SEEK_SET)


def unlock_folder(folder: str | Path) -> None:
    """Give the lock of a folder back, if this process holds it."""
    file = _held.pop(Path(folder).resolve(), None)
    if file is not None:
        os.close(file)
