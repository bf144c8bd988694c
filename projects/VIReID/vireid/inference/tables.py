"""The tables of a folder store: SQLite, whose transactions decide what the store holds."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vireid.errors import StoreError
from vireid.inference.records import Entry, Where, from_seconds, seconds
from vireid.inference.segments import Segment, damaged

FORMAT = 1
FILE = "gallery.sqlite"
SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value);
CREATE TABLE segments (number INTEGER PRIMARY KEY, file TEXT NOT NULL, rows INTEGER NOT NULL);
CREATE TABLE images (
    position INTEGER PRIMARY KEY AUTOINCREMENT, -- ascends with the vectors, and is never used again
    path TEXT NOT NULL UNIQUE,
    identity TEXT,
    camera TEXT,
    time INTEGER,                               -- seconds since 1970 in the time of the camera
    modality TEXT NOT NULL,
    stamp TEXT NOT NULL,
    segment INTEGER NOT NULL
);
CREATE INDEX images_by_camera ON images (camera);
CREATE INDEX images_by_identity ON images (identity);
CREATE INDEX images_by_time ON images (time);
CREATE INDEX images_by_segment ON images (segment);
"""
COLUMNS = "path, identity, camera, time, modality, stamp"
NOT_DAMAGED = ("is full", "is locked", "readonly", "unable to open", "disk I/O error")
# Any number of values is one parameter: SQLite limits how many parameters a statement has.
ONE_OF = "IN (SELECT value FROM json_each(?))"
CHECKED_UP_TO = 100_000  # images; checking so many takes a quarter of a second


class Tables:
    """A connection to the tables.

    Args:
        folder: of the store; the file is there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.connection = sqlite3.connect(
            folder / FILE, timeout=30, isolation_level=None, check_same_thread=False
        )

    @staticmethod
    def create(path: Path, about: dict[str, Any]) -> None:
        """A file with empty tables."""
        path.touch()  # SQLite would let nobody else write, whatever the umask says
        connection = sqlite3.connect(path)
        with connection:
            connection.executescript(SCHEMA)
            connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        connection.close()

    @contextmanager
    def transaction(self, kind: str = "DEFERRED") -> Iterator[None]:
        """A transaction, which an error undoes; "IMMEDIATE" to write.

        Raises:
            StoreError: the file is damaged, the disk is full, or the tables stay locked for 30 seconds.
        """
        try:
            self.connection.execute(f"BEGIN {kind}")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:  # SQLite itself may have undone it
                    self.connection.execute("ROLLBACK")
                raise
        except sqlite3.DatabaseError as error:
            if any(reason in str(error) for reason in NOT_DAMAGED):
                raise StoreError(f"{self.folder}: {error}; the store is as it was") from None
            raise StoreError(damaged(self.folder, f"{FILE}: {error}")) from None

    def check(self) -> None:
        """Refuse a file whose bytes are not what SQLite wrote, as far as that can be seen: an index has what
        its table has. Of more images than CHECKED_UP_TO, that would take seconds; then its structure alone is
        looked at.

        Raises:
            StoreError: says what was found.
        """
        few = self.connection.execute("SELECT COUNT(*) FROM images").fetchone()[0] <= CHECKED_UP_TO
        pragma = "integrity_check" if few else "quick_check"
        found = self.connection.execute(f"PRAGMA {pragma}(1)").fetchone()[0]
        if found == "ok" and few:  # the modality is in no index
            kinds = {row[0] for row in self.connection.execute("SELECT DISTINCT modality FROM images")}
            unknown = kinds - {"visible", "infrared"}
            found = f"an image is {unknown.pop()!r}" if unknown else "ok"
        if found != "ok":
            raise StoreError(damaged(self.folder, f"{FILE}: {' '.join(found.split())}"))

    def version(self) -> int:
        """Another number after another process has changed the tables."""
        return int(self.connection.execute("PRAGMA data_version").fetchone()[0])

    def about(self) -> dict[str, Any]:
        """The values of the store by name."""
        return dict(self.connection.execute("SELECT key, value FROM about"))

    def set_about(self, values: dict[str, Any]) -> None:
        """Write some of them."""
        self.connection.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", values.items())

    def segments(self) -> list[Segment]:
        """Files of vectors, in the order of their positions."""
        found = self.connection.execute("SELECT number, file, rows FROM segments ORDER BY number")
        return [Segment(*row) for row in found]

    def positions(self, where: Where | None = None) -> np.ndarray:
        """(N,) int64, ascending."""
        text, values = _condition(where)
        found = self.connection.execute(f"SELECT position FROM images{text} ORDER BY position", values)
        return np.fromiter((row[0] for row in found), np.int64)

    def positions_of_paths(self, paths: Sequence[str]) -> np.ndarray:
        """(n,) int64, ascending, of those paths that there are."""
        return self.positions(Where(paths=tuple(paths))) if paths else np.empty(0, np.int64)

    def entries_at(self, positions: list[int]) -> dict[int, Entry]:
        """Position -> image."""
        rows = self.connection.execute(
            f"SELECT position, {COLUMNS} FROM images WHERE position {ONE_OF}", (json.dumps(positions),)
        )
        return {row[0]: _entry(row[1:]) for row in rows}

    def entries(self, where: Where) -> list[Entry]:
        """Images in the order of their positions."""
        text, values = _condition(where)
        rows = self.connection.execute(f"SELECT {COLUMNS} FROM images{text} ORDER BY position", values)
        return [_entry(row) for row in rows]

    def stamps(self) -> dict[str, str]:
        """Path -> stamp."""
        return dict(self.connection.execute("SELECT path, stamp FROM images"))

    def sizes(self) -> dict[int, int]:
        """Segment number -> images that the table gives to it."""
        return dict(self.connection.execute("SELECT segment, COUNT(*) FROM images GROUP BY segment"))

    def segment_positions(self, number: int) -> np.ndarray:
        """(rows,) int64, ascending: the position of each vector of a segment."""
        found = self.connection.execute(
            "SELECT position FROM images WHERE segment = ? ORDER BY position", (number,)
        )
        return np.fromiter((row[0] for row in found), np.int64)

    def remove(self, positions: Iterable[int]) -> None:
        """Delete images."""
        self.connection.executemany(
            "DELETE FROM images WHERE position = ?", ((int(position),) for position in positions)
        )

    def insert(self, entries: Sequence[Entry], segment: int) -> None:
        """Add images after all others, as rows of a segment."""
        self.connection.executemany(
            f"INSERT INTO images ({COLUMNS}, segment) VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((e.path, e.identity, e.camera, seconds(e.time), e.modality, e.stamp, segment) for e in entries),
        )

    def move(self, old: int, new: int) -> None:
        """Give the images of one segment to another."""
        self.connection.execute("UPDATE images SET segment = ? WHERE segment = ?", (new, old))

    def set_segment(self, segment: Segment) -> None:
        """Add a segment, or change its file."""
        self.connection.execute(
            "INSERT OR REPLACE INTO segments VALUES (?, ?, ?)", (segment.number, segment.file, segment.rows)
        )

    def drop_segment(self, number: int) -> None:
        """Remove a segment, whose images are gone or elsewhere."""
        self.connection.execute("DELETE FROM segments WHERE number = ?", (number,))

    def summary(self) -> dict[str, Any]:
        """What the images are: numbers by modality, identities, cameras, first and last time."""
        one = self.connection.execute(
            "SELECT COUNT(DISTINCT identity), MIN(time), MAX(time), COUNT(time) FROM images"
        ).fetchone()
        cameras = self.connection.execute(
            "SELECT camera, COUNT(*) FROM images GROUP BY camera ORDER BY LENGTH(camera), camera"
        )
        modalities = self.connection.execute("SELECT modality, COUNT(*) FROM images GROUP BY modality")
        return {
            "identities": one[0],
            "cameras": {camera if camera is not None else "unknown": count for camera, count in cameras},
            "modalities": dict(modalities),
            "first": str(from_seconds(one[1]) or ""),
            "last": str(from_seconds(one[2]) or ""),
        }


def _entry(row: Sequence[Any]) -> Entry:
    path, identity, camera, time, modality, stamp = row
    return Entry(path, identity, camera, from_seconds(time), modality, stamp)


def _condition(where: Where | None) -> tuple[str, list[Any]]:
    """The WHERE of a statement, and its values."""
    texts: list[str] = []
    values: list[Any] = []
    if where is not None:
        for column, wanted in (
            ("camera", where.cameras),
            ("identity", where.identities),
            ("modality", where.modalities),
            ("path", where.paths),
        ):
            if wanted:
                texts.append(f"{column} {ONE_OF}")
                values.append(json.dumps(wanted))
        for sign, time in ((">=", where.after), ("<", where.before)):
            if time is not None:
                texts.append(f"time {sign} ?")
                values.append(seconds(time))
    return (f" WHERE {' AND '.join(texts)}" if texts else ""), values
