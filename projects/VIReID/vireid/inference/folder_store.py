"""A store in a folder: tables of SQLite, files of vectors, and codes for approximate search.

The tables are the truth. A change writes new files of vectors first, then commits one transaction that names
them, then removes those that no longer count. Killed before the commit, it has changed nothing; the next
writer removes what it left. The codes are made from the vectors and can be made again.
"""

import errno
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from vireid.errors import StoreError
from vireid.inference.approximate import CANDIDATES, ApproximateIndex
from vireid.inference.folder_files import LOCK, make_tables, remove_leftovers
from vireid.inference.records import EVERYTHING, About, Entry, Match, Where
from vireid.inference.segments import damaged, read_vectors, sync_folder
from vireid.inference.snapshot import Snapshot, grown_codes
from vireid.inference.store import EXACT_UP_TO, check_model
from vireid.inference.tables import FILE, FORMAT, Tables
from vireid.inference.vector_change import VectorChange

logger = logging.getLogger("fastreid.vireid.inference")


class FolderStore:
    """See ``Store`` and ``open_store``."""

    def __init__(
        self, folder: Path, about: About | None, *, create: bool = False, exact_up_to: int | None = None
    ) -> None:
        self.folder = folder
        self._lock = FileLock(folder / LOCK)
        self._mutex = threading.RLock()
        self._snapshot: Snapshot | None = None
        if not (folder / FILE).is_file():
            self._create(about if create else None, EXACT_UP_TO if exact_up_to is None else exact_up_to)
        self._tables = Tables(folder)
        with self._tables.transaction():
            self._tables.check()
            known = self._tables.about()
        if known.get("format") != FORMAT:
            raise StoreError(
                f"{folder} is a store of form {known.get('format')}, and this version reads form {FORMAT}; "
                "use the version that made it, or index the gallery into another store"
            )
        self.about = About(known["fingerprint"], known["dimension"], known["model"], known["source"])
        check_model(folder, self.about, about)
        if exact_up_to is not None and exact_up_to != known["exact_up_to"]:
            with self.writing(), self._tables.transaction("IMMEDIATE"):
                self._tables.set_about({"exact_up_to": exact_up_to})
        self._current()  # a damaged store is refused before anything is computed

    def __len__(self) -> int:
        """Number of images."""
        with self._reading() as snapshot:
            return len(snapshot)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """See ``Store``."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(
                f"{self.folder}: another process is writing to it; wait until it is done, and try again"
            ) from None
        try:
            remove_leftovers(self.folder)
            yield
        finally:
            self._lock.release()

    def add(self, entries: Sequence[Entry], vectors: np.ndarray) -> None:
        """See ``Store``."""
        with self._changing() as change:
            change.remove(self._tables.positions_of_paths([entry.path for entry in entries]))
            change.append(entries, vectors)

    def delete(self, where: Where) -> int:
        """See ``Store``."""
        with self._changing() as change:
            positions = self._tables.positions(where)
            change.remove(positions)
        return len(positions)

    def optimize(self) -> None:
        """See ``Store``."""
        with self._mutex:
            with self._reading() as snapshot:
                about = self._tables.about()
                index, trained = grown_codes(snapshot, about["codes_trained"])
            if index is snapshot.index:
                return
            values: dict[str, Any] = {"codes": None, "codes_trained": trained}
            if index is not None:
                values["codes"] = f"codes-{about['next_file']:08d}.faiss"
                values["next_file"] = about["next_file"] + 1
                with self._as_it_was([values["codes"]]):
                    index.save(self.folder / values["codes"])
                    sync_folder(self.folder)
            with self._tables.transaction("IMMEDIATE"):
                self._tables.set_about(values)
            self._snapshot = None
            remove_leftovers(self.folder)

    def search(self, vectors: np.ndarray, top: int, where: Where = EVERYTHING) -> list[list[Match]]:
        """See ``Store``."""
        with self._reading() as snapshot:
            rows = snapshot.rows_where(where, self._tables.positions) if where else None
            found = list(snapshot.nearest(np.asarray(vectors, np.float32), top, rows))
            positions = np.unique(np.concatenate([some for some, _ in found] or [np.empty(0, np.int64)]))
            entries = self._tables.entries_at(positions.tolist())
        answers = []
        for some, scores in found:
            ranked = [(entries[position], score) for position, score in zip(some.tolist(), scores.tolist())]
            answers.append(
                [Match(score, e.path, e.identity, e.camera, e.time, e.modality) for e, score in ranked]
            )
        return answers

    def entries(self, where: Where = EVERYTHING) -> list[Entry]:
        """See ``Store``."""
        with self._reading():
            return self._tables.entries(where)

    def stamps(self) -> dict[str, str]:
        """See ``Store``."""
        with self._reading():
            return self._tables.stamps()

    def info(self) -> dict[str, Any]:
        """See ``Store``."""
        with self._reading() as snapshot:
            files = [path for path in self.folder.iterdir() if path.is_file()]
            if snapshot.index is None:
                how = "exact"
            else:
                how = (
                    f"approximate: {len(snapshot.index):,} images as 4-bit codes, of which the best "
                    f"{CANDIDATES:,} are scored exactly"
                )
            return {
                "store": str(self.folder),
                "images": len(snapshot),
                **self._tables.summary(),
                "model": self.about.model,
                "fingerprint": self.about.fingerprint,
                "dimension": self.about.dimension,
                "search": how,
                "exact_up_to": snapshot.exact_up_to,
                "bytes": sum(path.stat().st_size for path in files),
            }

    def close(self) -> None:
        """See ``Store``."""
        self._snapshot = None
        self._tables.connection.close()

    def _create(self, about: About | None, exact_up_to: int) -> None:
        if about is None:
            raise StoreError(
                f"{self.folder} is no store; make one: vireid search index --gallery DIR --store "
                f"{self.folder}"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.folder} cannot be made: {error.strerror}") from None
        with self.writing():
            make_tables(self.folder, about, exact_up_to)

    @contextmanager
    def _reading(self) -> Iterator[Snapshot]:
        """A transaction, in which the tables and the files do not change."""
        with self._mutex, self._tables.transaction():
            yield self._current()

    def _current(self) -> Snapshot:
        """The store as it is: read again after another process has changed it."""
        if self._tables.connection.in_transaction:
            version = self._tables.version()
            if self._snapshot is None or self._snapshot.version != version:
                self._snapshot = self._read(version)
            return self._snapshot
        with self._reading() as snapshot:
            return snapshot

    def _read(self, version: int) -> Snapshot:
        segments, sizes, about = self._tables.segments(), self._tables.sizes(), self._tables.about()
        if sizes != {segment.number: segment.rows for segment in segments}:
            raise StoreError(damaged(self.folder, "its tables do not agree with each other"))
        index = None
        if about["codes"]:
            try:
                index = ApproximateIndex.load(self.folder / about["codes"], self.about.dimension)
            except (OSError, ValueError):
                logger.warning(
                    "%s: %s is missing or damaged, so searches are exact and slow; `vireid search index` or "
                    "`add` makes it again",
                    self.folder,
                    about["codes"],
                )
        return Snapshot(
            version=version,
            positions=self._tables.positions(),
            vectors=[read_vectors(self.folder, segment, self.about.dimension) for segment in segments],
            index=index,
            exact_up_to=about["exact_up_to"],
        )

    @contextmanager
    def _changing(self) -> Iterator[VectorChange]:
        """Write files, commit them, and remove those that they replace."""
        with self._mutex:
            new_files: list[str] = []
            with self._as_it_was(new_files), self._tables.transaction("IMMEDIATE"):
                change = VectorChange(self.folder, self._tables, self.about.dimension, new_files)
                yield change
                change.write()
            self._snapshot = None
            change.remove_old_files()

    @contextmanager
    def _as_it_was(self, new_files: list[str]) -> Iterator[None]:
        """After an error the new files are removed, and a full disk is said in words."""
        try:
            yield
        except BaseException as error:
            for name in new_files:
                (self.folder / name).unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise StoreError(
                    f"{self.folder}: {error.strerror}; the store is as it was: free some space, and run the "
                    "same command again"
                ) from None
            raise
