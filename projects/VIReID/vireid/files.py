"""Looking at a file before it is read: a pipe would be waited for without end."""

import errno
import os
import stat
from os import PathLike
from typing import BinaryIO, cast

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
