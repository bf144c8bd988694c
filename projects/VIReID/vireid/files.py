"""Looking at a file before it is read."""

import os
import stat
from os import PathLike


def fault_of_file(path: str | PathLike[str], most_bytes: int | None = None) -> str:
    """Why a file cannot be read, in words that follow its name; "" where nothing speaks against it.

    A pipe would be waited for without end.

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
        return "is no regular file, but a pipe, a socket or a device"
    if most_bytes is not None and status.st_size > most_bytes:
        return f"has {status.st_size} bytes, and more than {most_bytes} are not read"
    return ""
