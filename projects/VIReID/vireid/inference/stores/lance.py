"""A store in a folder, or in an object store: a table of LanceDB.

A change is one commit: a kill before it has changed nothing, and a later writer removes what was written for
it. Small stores compare a query with every vector. Larger ones have an index, two bits for each number of a
vector (RaBitQ), all of which are scanned; the best candidates are scored exactly. A partition into cells, of
which a query looks into some, finds too little where queries lie apart from the gallery, as infrared ones do.
"""

import datetime
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from vireid.errors import StoreError
from vireid.inference.records import EVERYTHING, About, Entry, Match, Where
from vireid.inference.stores.lance_folder import TABLE, damaged, holds_table, in_words, one_writer
from vireid.inference.stores.lance_rows import (
    COLUMNS,
    as_matrix,
    condition,
    entry_of,
    held,
    make_indexes,
    padded,
    rows,
    schema,
    scored,
    written,
)
from vireid.inference.stores.protocol import check_model, check_rows, library, no_store, summary

Found = TypeVar("Found")

FORMAT = 3  # 1 was a store of tables of SQLite; 2 knew no tracks
SUMMED = ("identity", "camera", "time", "modality", "track")
EXACT_UP_TO = 5_000
# The index; how many candidates are scored exactly: so many at least, and so often as many as are asked for.
INDEX, BITS, CANDIDATES, CANDIDATES_FOR_EACH = "vector_idx", 2, 100, 5
# Images that the index does not have yet are compared one by one. More than these make it anew, and so do
# more files than PIECES; each commit writes one.
NEWEST, NEWEST_SHARE, PIECES = 1_000, 0.005, 32
PATHS_AT_ONCE = 10_000


class LanceStore:
    """See ``Store`` and ``open_store``. Other processes may read while one writes. Where the address is no
    folder, several may write, as LanceDB orders it."""

    about: About
    _table: Any
    _exact_up_to: int

    def __init__(
        self, address: str, about: About | None, *, create: bool = False, exact_up_to: int | None = None
    ) -> None:
        os.environ.setdefault("LANCEDB_LOG", "off")  # what it logs as a warning is no user's business
        self.address, self._lance = address, library("lancedb", "search", address)
        self._folder = None if "://" in address else Path(address)
        self._mutex = threading.RLock()
        self._deleted = False
        with self._in_words():
            found = self._open(create)
            self._made, self.calibration = found is not None, dict[str, Any]()
            if found is not None:
                self._adopt(found, about)
        if found is not None:
            if exact_up_to not in (None, self._exact_up_to):
                self._exact_up_to = int(exact_up_to or 0)
                self._keep_settings()
        elif create and about is not None:
            self.about, self._exact_up_to = about, EXACT_UP_TO if exact_up_to is None else exact_up_to
            self._table = self._create("memory://")
        else:
            raise no_store(address)

    def __len__(self) -> int:
        """Number of images."""
        return self._read(lambda table: int(table.count_rows()))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """See ``Store``."""
        with nullcontext() if self._folder is None else one_writer(self._folder):
            with self._in_words():
                if not self._made:
                    self._adopt(self._open(create=True) or self._create(self.address), self.about)
                    self._made = True
                self._table.checkout_latest()
            yield

    def add(self, entries: Sequence[Entry], vectors: np.ndarray) -> None:
        """See ``Store``."""
        check_rows(self.address, entries, vectors, self.about.dimension)
        with self._mutex, self._in_words():
            merge = self._table.merge_insert("path").when_matched_update_all().when_not_matched_insert_all()
            merge.execute(rows(entries, vectors, self._table.schema))

    def delete(self, where: Where) -> int:
        """See ``Store``; many paths are deleted by several commits."""
        with self._mutex, self._in_words():
            count = sum(
                self._table.delete(condition(some)).num_deleted_rows for some in where.parts(PATHS_AT_ONCE)
            )
        self._deleted = self._deleted or count > 0
        return count

    def optimize(self) -> None:
        """See ``Store``. After a deletion the table is written anew: no file holds what was deleted."""
        with self._mutex, self._in_words():
            table, rows = self._table, self._table.count_rows()
            index = table.index_stats(INDEX)
            wanted = rows > self._exact_up_to
            if wanted and index is not None:
                current = index.num_unindexed_rows <= max(NEWEST, NEWEST_SHARE * rows)
            else:
                current = wanted == (index is not None)
            pieces = table.stats()["fragment_stats"]["num_fragments"]
            if current and pieces <= PIECES and not self._deleted:
                return
            if self._deleted:
                table.add(table.search().to_batches(), mode="overwrite")
            elif index is not None:  # LanceDB would divide its one partition
                table.drop_index(INDEX)
            # With the lock nobody else is writing: what no version names is left by a writer that was killed.
            at_once = datetime.timedelta(milliseconds=1)
            table.optimize(cleanup_older_than=at_once, delete_unverified=self._folder is not None)
            if wanted:
                make_indexes(table, self._lance.index, INDEX, BITS)
            self._deleted = False

    def search(self, vectors: np.ndarray, top: int, where: Where = EVERYTHING) -> list[list[Match]]:
        """See ``Store``."""
        return self._read(lambda table: [self._nearest(table, one, top, where) for one in padded(vectors)])

    def entries(self, where: Where = EVERYTHING) -> list[Entry]:
        """See ``Store``."""
        parts = where.parts(PATHS_AT_ONCE)
        found = self._read(lambda table: [self._columns(table, COLUMNS, some) for some in parts])
        entries = [entry_of(row) for rows in found for row in rows.to_pylist()]
        return sorted(entries, key=lambda entry: entry.path)

    def read(self, where: Where = EVERYTHING) -> tuple[list[Entry], np.ndarray]:
        """See ``Store``."""
        found = self._read(lambda table: self._columns(table, [*COLUMNS, "vector"], where)).sort_by("path")
        entries = [entry_of(row) for row in found.select(COLUMNS).to_pylist()]
        return entries, as_matrix(found)[:, : self.about.dimension]

    def calibrate(self, calibration: dict[str, Any]) -> None:
        """See ``Store``."""
        self.calibration = calibration
        self._keep_settings()

    def stamps(self) -> dict[str, str]:
        """See ``Store``."""
        found = self._read(lambda table: self._columns(table, ["path", "stamp"]))
        return dict(zip(found["path"].to_pylist(), found["stamp"].to_pylist()))

    def info(self) -> dict[str, Any]:
        """See ``Store``."""
        found, index = self._read(lambda table: (self._columns(table, SUMMED), table.index_stats(INDEX)))
        how = "exact"
        if index is not None and len(found) > self._exact_up_to:
            how = f"approximate: {BITS} bits for each number, the best {CANDIDATES} or more scored exactly"
        said = {
            "store": self.address,
            **summary(self.about, **{name: found[name].to_pylist() for name in SUMMED}),
            "search": how,
            "exact_up_to": self._exact_up_to,
        }
        if self._folder is not None:
            said["bytes"] = sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
        return said

    def close(self) -> None:
        """See ``Store``; LanceDB keeps no file open."""

    def _open(self, create: bool) -> Any:
        """The table; None where there is none, or where a process was killed that made it."""
        if self._folder is not None and not holds_table(self._folder, create):
            return None
        try:
            return self._lance.connect(self.address).open_table(TABLE)
        except ValueError as error:
            if "was not found" not in str(error):
                raise
            if self._folder is not None and any(self._folder.glob(f"{TABLE}.lance/data/*")):
                raise damaged(self.address, "its versions are missing") from None
            return None

    def _create(self, address: str) -> Any:
        return self._lance.connect(address).create_table(TABLE, schema=schema(self.about, self._settings()))

    def _adopt(self, table: Any, used: About | None) -> None:
        """Take a table that was opened for the store's own.

        Raises:
            StoreError: it is of another form, or model.
        """
        about, settings = held(table)
        if settings["format"] != FORMAT:
            raise StoreError(
                f"{self.address} is a store of another form than this version reads ({FORMAT}); use the "
                "version that made it, or index the gallery into another store"
            )
        self.about, self._table = about, table
        self._exact_up_to, self.calibration = settings["exact_up_to"], settings["calibration"]
        check_model(self.address, self.about, used)

    def _settings(self) -> dict[str, Any]:
        return {"format": FORMAT, "exact_up_to": self._exact_up_to, "calibration": self.calibration}

    def _keep_settings(self) -> None:
        with self.writing(), self._in_words():
            self._table.replace_field_metadata("vector", written(self.about, self._settings()))

    def _columns(self, table: Any, names: Sequence[str], where: Where = EVERYTHING) -> Any:
        return table.search().where(condition(where)).select(list(names)).to_arrow()

    def _nearest(self, table: Any, vector: np.ndarray, top: int, where: Where) -> list[Match]:
        columns = [*COLUMNS, "sum", "vector", "_distance"]
        query = table.search(vector).distance_type("dot").limit(top).select(columns)
        if where:
            query = query.where(condition(where))
        if table.count_rows() <= self._exact_up_to:
            query = query.bypass_vector_index()
        else:
            query = query.refine_factor(max(CANDIDATES_FOR_EACH, -(-CANDIDATES // top)))
        found = query.to_arrow()
        return scored(found, vector, self.address)

    def _read(self, act: Callable[[Any], Found]) -> Found:
        """What ``act`` reads of the newest version: again where a writer has removed its files meanwhile."""
        with self._mutex, self._in_words():
            while True:
                self._table.checkout_latest()
                version = self._table.version
                try:
                    return act(self._table)
                except Exception:
                    self._table.checkout_latest()
                    if self._table.version == version:
                        raise

    def _in_words(self) -> AbstractContextManager[None]:
        return in_words(self.address)
