"""The files of a folder store: how it begins, and what a writer that was killed has left."""

import os
from pathlib import Path

from vireid.errors import StoreError
from vireid.inference.records import About
from vireid.inference.segments import sync_folder
from vireid.inference.tables import FILE, FORMAT, Tables

LOCK = "writer.lock"


def make_tables(folder: Path, about: About, exact_up_to: int) -> None:
    """Make an empty store in a folder that is locked; nothing, where another process was faster.

    Raises:
        StoreError: the folder holds other files.
    """
    if (folder / FILE).is_file():
        return
    others = [path.name for path in folder.iterdir() if path.name != LOCK]
    if others:
        raise StoreError(
            f"{folder} holds other files, such as {others[0]}, and no store; name an empty folder, or one "
            "that does not exist"
        )
    temporary = folder / f"{FILE}.tmp"
    Tables.create(
        temporary,
        {
            "format": FORMAT,
            **vars(about),
            "exact_up_to": exact_up_to,
            "next_file": 1,
            "codes": None,
            "codes_trained": 0,
        },
    )
    os.replace(temporary, folder / FILE)
    sync_folder(folder)


def remove_leftovers(folder: Path) -> None:
    """Remove files that no transaction has named, of a folder that is locked."""
    if not (folder / FILE).is_file():
        for left in folder.glob(f"{FILE}.tmp*"):
            left.unlink(missing_ok=True)
        return
    tables = Tables(folder)
    with tables.transaction():
        named = {segment.file for segment in tables.segments()} | {tables.about()["codes"]}
    tables.connection.close()
    for pattern in ("vectors-*.npy", "codes-*.faiss"):
        for path in folder.glob(pattern):
            if path.name not in named:
                path.unlink(missing_ok=True)
