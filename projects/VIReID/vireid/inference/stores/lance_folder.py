"""The folder of a LanceDB store: what may lie in it, who writes to it, and errors in words."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vireid.errors import StoreError, UserError

TABLE, LOCK = "gallery", "writer.lock"
OLD = "gallery.sqlite"  # of a store of an earlier version
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def holds_table(folder: Path, create: bool) -> bool:
    """Whether a folder holds a store.

    Args:
        create: one is to be made there.

    Raises:
        StoreError: it is of an earlier version; or one is to be made, and the folder is none, or holds other
            files.
    """
    if (folder / OLD).is_file():
        raise StoreError(
            f"{folder} is a store of an earlier version, which this one cannot read; index the gallery into "
            "another folder, and delete this one"
        )
    if (folder / f"{TABLE}.lance").is_dir():
        return True
    if create and folder.exists():
        if not folder.is_dir():
            raise StoreError(f"{folder} is a file, and a store is a folder; name another one")
        others = sorted({path.name for path in folder.iterdir()} - {LOCK})
        if others:
            raise StoreError(
                f"{folder} holds other files, such as {others[0]}, and no store; name an empty folder, or "
                "one that does not exist"
            )
    return False


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where there is none, alone for writing.

    Raises:
        StoreError: another process holds it, or it cannot be written to.
    """
    with in_words(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(
                f"{folder}: another process is writing to it; wait until it is done, and try again"
            ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def in_words(address: str) -> Iterator[None]:
    """What LanceDB and the disk raise, of several types for one cause, as one line.

    Raises:
        StoreError: names the store.
    """
    try:
        yield
    except (UserError, MemoryError, AttributeError, NameError, TypeError):  # no fault of the store's
        raise
    except Exception as error:
        text = re.split(r", /\S+\.rs:", " ".join(str(error).split()))[0][:300]
        found = re.search(r"\(os error (\d+)\)", text)
        number = int(found[1]) if found else getattr(error, "errno", None)
        if number in FULL:
            raise StoreError(
                f"{address}: {os.strerror(number)}; the store is as it was: free some space, and run the "
                "same command again"
            ) from error
        if number in FORBIDDEN:
            raise StoreError(f"{address} cannot be written to: {os.strerror(number)}") from error
        raise damaged(address, text) from error


def damaged(address: str, what: str) -> StoreError:
    """That a store cannot be used any more."""
    says = "is damaged, or does not answer" if "://" in address else "is damaged"
    return StoreError(
        f"{address} {says} ({what}); restore it from a copy, or delete it and index the gallery again"
    )
