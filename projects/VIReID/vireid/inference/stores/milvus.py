"""A store in Milvus: a collection of a server, or a file of Milvus Lite."""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from vireid.errors import StoreError
from vireid.inference.records import EVERYTHING, About, Entry, Match, Where, from_seconds, seconds
from vireid.inference.stores.protocol import check_model, check_rows, library, no_store, summary

COLLECTION = "vireid"
FIELDS = ["path", "identity", "camera", "time", "modality", "stamp", "track"]
AT_ONCE = 1_000
TIMEOUT = 30.0  # seconds
STRONG = "Strong"  # what was written is found at once
LEAST = "2.3"  # the earliest version of a server
# Servers before 2.5 know no null: what is unknown is an empty text, and this time, before all others.
NO_TIME = -(10**15)


class MilvusStore:
    """See ``Store`` and ``open_store``. MILVUS_TOKEN in the environment is "user:password", or a key.

    Several processes may write at once; the server orders what they do. A batch of AT_ONCE images is written
    whole or not at all.
    """

    def __init__(
        self, address: str, about: About | None, *, create: bool = False, exact_up_to: int | None = None
    ) -> None:
        self.address, self.library = address, library("pymilvus", "milvus", address)
        parts = urlsplit(address) if "://" in address else None
        self.name = (parts.path.strip("/") if parts else "") or COLLECTION
        if parts is None and not create and not os.path.exists(address):
            raise no_store(address)
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # its errors are raised, too
        self.version, self.calibration = "", dict[str, Any]()
        with self._in_words():
            self.client = self.library.MilvusClient(
                f"{parts.scheme}://{parts.netloc}" if parts else address,
                token=os.environ.get("MILVUS_TOKEN", ""),
                timeout=TIMEOUT,
            )
            self.version = str(self.client.get_server_version())
            self._made = bool(self.client.has_collection(self.name))
        if self._made:
            self._adopt(about)
        elif create and about is not None:
            self.about = about
        else:
            raise no_store(address)

    def __len__(self) -> int:
        """Number of images."""
        return self._count("")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """See ``Store``; here several processes may write at once."""
        if not self._made:
            with self._in_words():
                self._create(self.about)
            self._adopt(self.about)
        yield

    def add(self, entries: Sequence[Entry], vectors: np.ndarray) -> None:
        """See ``Store``; here batches of AT_ONCE images."""
        check_rows(self.address, entries, vectors, self.about.dimension)
        rows = [{**_row(entry), "vector": vector} for entry, vector in zip(entries, vectors)]
        with self._in_words():
            for first in range(0, len(rows), AT_ONCE):
                self.client.upsert(self.name, rows[first : first + AT_ONCE])

    def delete(self, where: Where) -> int:
        """See ``Store``."""
        count = 0
        for some in where.parts(AT_ONCE):
            condition = _condition(some)
            count += self._count(condition)
            with self._in_words():
                self.client.delete(self.name, filter=condition or 'key != ""')
        return count

    def optimize(self) -> None:
        """See ``Store``; the server does it by itself."""

    def search(self, vectors: np.ndarray, top: int, where: Where = EVERYTHING) -> list[list[Match]]:
        """See ``Store``."""
        if not self._made:
            return [[] for _ in vectors]
        with self._in_words():
            found = self.client.search(
                self.name,
                np.asarray(vectors, np.float32).tolist(),
                limit=top,
                filter=_condition(where),
                output_fields=FIELDS,
                consistency_level=STRONG,
            )
        return [[Match.of(_entry(hit["entity"]), hit["distance"]) for hit in hits] for hits in found]

    def entries(self, where: Where = EVERYTHING) -> list[Entry]:
        """See ``Store``."""
        rows = [row for some in where.parts(AT_ONCE) for row in self._rows(_condition(some), FIELDS)]
        return sorted(map(_entry, rows), key=lambda entry: entry.path)

    def read(self, where: Where = EVERYTHING) -> tuple[list[Entry], np.ndarray]:
        """See ``Store``."""
        rows = sorted(self._rows(_condition(where), [*FIELDS, "vector"]), key=lambda row: str(row["path"]))
        vectors = np.array([row["vector"] for row in rows], np.float32).reshape(-1, self.about.dimension)
        return [_entry(row) for row in rows], vectors

    def calibrate(self, calibration: dict[str, Any]) -> None:
        """See ``Store``."""
        with self.writing(), self._in_words():
            self.client.alter_collection_properties(self.name, {"calibration": json.dumps(calibration)})
        self.calibration = calibration

    def stamps(self) -> dict[str, str]:
        """See ``Store``."""
        return {row["path"]: row["stamp"] for row in self._rows("", ["path", "stamp"])}

    def info(self) -> dict[str, Any]:
        """See ``Store``."""
        rows, names = list(self._rows("", FIELDS)), {*FIELDS} - {"path", "stamp"}
        values = {name: [_known(row.get(name)) for row in rows] for name in names}
        return {
            "store": f"{self.address}, collection {self.name}",
            **summary(self.about, **values),
            "search": f"by Milvus {self.version}, with the index that it chooses (AUTOINDEX)",
        }

    def close(self) -> None:
        """See ``Store``."""
        self.client.close()

    def _adopt(self, used: About | None) -> None:
        """Take a collection that is there for the store's own.

        Raises:
            StoreError: it is no store, or of another model.
        """
        with self._in_words():
            known = self.client.describe_collection(self.name).get("properties", {})
            self.client.load_collection(self.name)
        try:
            self.about = About(**json.loads(known["vireid"]))
            self.calibration = json.loads(known.get("calibration", "{}"))
        except (KeyError, TypeError, ValueError):
            raise StoreError(
                f"{self.address}: the collection {self.name} was not made by `vireid search index`; name "
                "another one, such as http://host:19530/gallery"
            ) from None
        check_model(self.address, self.about, used)
        self._made = True

    def _create(self, about: About) -> None:
        kinds = self.library.DataType
        schema = self.client.create_schema(auto_id=False)
        schema.add_field("key", kinds.VARCHAR, max_length=32, is_primary=True)
        schema.add_field("path", kinds.VARCHAR, max_length=4096)
        for name in ("identity", "camera", "track"):
            schema.add_field(name, kinds.VARCHAR, max_length=256)
        schema.add_field("time", kinds.INT64)
        schema.add_field("modality", kinds.VARCHAR, max_length=16)
        schema.add_field("stamp", kinds.VARCHAR, max_length=64)
        schema.add_field("vector", kinds.FLOAT_VECTOR, dim=about.dimension)
        index = self.client.prepare_index_params()
        index.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
        self.client.create_collection(
            self.name,
            schema=schema,
            index_params=index,
            consistency_level=STRONG,
            properties={"vireid": json.dumps(vars(about))},
        )

    def _count(self, condition: str) -> int:
        if not self._made:
            return 0
        with self._in_words():
            (row,) = self.client.query(
                self.name, filter=condition, output_fields=["count(*)"], consistency_level=STRONG
            )
            return int(row["count(*)"])

    def _rows(self, condition: str, fields: list[str]) -> Iterator[dict[str, Any]]:
        if not self._made:
            return
        with self._in_words():
            iterator = self.client.query_iterator(
                self.name, batch_size=AT_ONCE, filter=condition, output_fields=fields
            )
            while rows := iterator.next():
                yield from rows
            iterator.close()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except self.library.MilvusException as error:
            reason = str(error.message).strip().splitlines()[0][:200]
            how = "is it running, and is the address right?"
            if self.version:
                how = f"its version is {self.version}; servers from {LEAST} on can be used"
            raise StoreError(
                f"{self.address}: Milvus does not do what it is asked for ({reason}); {how}"
            ) from None


def key(path: str) -> str:
    """32 digits that stand for a path: Milvus's own iterators do not quote what is in a primary key."""
    return hashlib.blake2b(path.encode(), digest_size=16).hexdigest()


def _row(entry: Entry) -> dict[str, Any]:
    time = NO_TIME if entry.time is None else seconds(entry.time)
    known = {name: getattr(entry, name) or "" for name in ("identity", "camera", "track")} | {"time": time}
    return {**vars(entry), **known, "key": key(entry.path)}


def _entry(row: dict[str, Any]) -> Entry:
    values: dict[str, Any] = {name: _known(row.get(name)) for name in FIELDS}
    return Entry(**{**values, "time": None if values["time"] is None else from_seconds(values["time"])})


def _known(value: Any) -> Any:
    return None if value in ("", NO_TIME) else value


def _condition(where: Where) -> str:
    """Milvus's expression of a condition; empty where there is none."""
    names = where.names()
    texts = [f"key in {_quoted([key(path) for path in names.pop('path')])}"] if "path" in names else []
    texts += [f"{name} in {_quoted(values)}" for name, values in names.items()]
    times = where.times()
    texts += [f"time {sign} {value}" for sign, value in times] + ([f"time > {NO_TIME}"] if times else [])
    return " and ".join(texts)


def _quoted(values: Sequence[str]) -> str:
    return json.dumps(list(values), ensure_ascii=False)
