"""A store in Milvus: a collection of a server, or a file of Milvus Lite."""

import hashlib
import importlib
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from vireid.errors import ConfigError, StoreError
from vireid.inference.records import EVERYTHING, About, Entry, Match, Where, from_seconds, seconds
from vireid.inference.store import check_model

COLLECTION = "vireid"
FIELDS = ["path", "identity", "camera", "time", "modality", "stamp"]
AT_ONCE = 1_000
TIMEOUT = 30.0  # seconds
STRONG = "Strong"  # what was written is found at once


class MilvusStore:
    """See ``Store`` and ``open_store``. MILVUS_TOKEN in the environment is "user:password", or a key.

    Several processes may write at once; the server orders what they do. A batch of AT_ONCE images is written
    whole or not at all.
    """

    def __init__(self, address: str, about: About | None, *, create: bool = False) -> None:
        try:
            library = importlib.import_module("pymilvus")
        except ImportError:
            raise ConfigError(f'{address} needs pymilvus: pip install "fastreid-vi[milvus]"') from None
        self.address, self.library = address, library
        parts = urlsplit(address) if "://" in address else None
        uri = f"{parts.scheme}://{parts.netloc}" if parts else address
        self.name = (parts.path.strip("/") if parts else "") or COLLECTION
        if parts is None and not create and not os.path.exists(address):
            raise StoreError(f"{address} is no store; make one: {_index_command(address)}")
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # its errors are raised, too
        with self._answering():
            token = os.environ.get("MILVUS_TOKEN", "")
            self.client = library.MilvusClient(uri, token=token, timeout=TIMEOUT)
            if not self.client.has_collection(self.name):
                if not create or about is None:
                    raise StoreError(
                        f"{address} has no collection {self.name}; {_index_command(address)} makes it"
                    )
                self._create(about)
            known = self.client.describe_collection(self.name).get("properties", {})
            self.client.load_collection(self.name)
        try:
            held = json.loads(known["vireid"])
            self.about = About(**held)
        except (KeyError, TypeError, ValueError):
            raise StoreError(
                f"{address}: the collection {self.name} was not made by `vireid search index`; name another "
                "one, such as http://host:19530/gallery"
            ) from None
        check_model(address, self.about, about)

    def __len__(self) -> int:
        """Number of images."""
        return self._count("")

    def writing(self) -> AbstractContextManager[None]:
        """See ``Store``; here several processes may write at once."""
        return nullcontext()

    def add(self, entries: Sequence[Entry], vectors: np.ndarray) -> None:
        """See ``Store``; here batches of AT_ONCE images."""
        with self._answering():
            for first in range(0, len(entries), AT_ONCE):
                some = slice(first, first + AT_ONCE)
                rows = [
                    {**vars(entry), "key": key(entry.path), "time": seconds(entry.time), "vector": vector}
                    for entry, vector in zip(entries[some], vectors[some])
                ]
                self.client.upsert(self.name, rows)

    def delete(self, where: Where) -> int:
        """See ``Store``."""
        with self._answering():
            count = 0
            for condition in _conditions(where):
                count += self._count(condition)
                self.client.delete(self.name, filter=condition or 'key != ""')
            return count

    def optimize(self) -> None:
        """See ``Store``; the server does it by itself."""

    def search(self, vectors: np.ndarray, top: int, where: Where = EVERYTHING) -> list[list[Match]]:
        """See ``Store``."""
        (condition,) = _conditions(where, at_once=None)
        with self._answering():
            found = self.client.search(
                self.name,
                np.asarray(vectors, np.float32).tolist(),
                limit=top,
                filter=condition,
                output_fields=FIELDS,
                consistency_level=STRONG,
            )
        return [[_match(hit["distance"], hit["entity"]) for hit in hits] for hits in found]

    def entries(self, where: Where = EVERYTHING) -> list[Entry]:
        """See ``Store``; here in the order of their paths."""
        rows = [row for condition in _conditions(where) for row in self._rows(condition, FIELDS)]
        return sorted(map(_entry, rows), key=lambda entry: entry.path)

    def stamps(self) -> dict[str, str]:
        """See ``Store``."""
        return {row["path"]: row["stamp"] for row in self._rows("", ["path", "stamp"])}

    def info(self) -> dict[str, Any]:
        """See ``Store``."""
        rows = list(self._rows("", ["identity", "camera", "time", "modality"]))
        cameras = Counter(row.get("camera") or "unknown" for row in rows)
        times = sorted(row["time"] for row in rows if row.get("time") is not None)
        return {
            "store": f"{self.address}, collection {self.name}",
            "images": len(rows),
            "identities": len({row["identity"] for row in rows if row.get("identity") is not None}),
            "cameras": dict(sorted(cameras.items(), key=lambda pair: (len(pair[0]), pair[0]))),
            "modalities": dict(sorted(Counter(row["modality"] for row in rows).items())),
            "first": str(from_seconds(times[0])) if times else "",
            "last": str(from_seconds(times[-1])) if times else "",
            "model": self.about.model,
            "fingerprint": self.about.fingerprint,
            "dimension": self.about.dimension,
            "search": "by Milvus, with the index that it chooses (AUTOINDEX)",
        }

    def close(self) -> None:
        """See ``Store``."""
        self.client.close()

    def _create(self, about: About) -> None:
        kinds = self.library.DataType
        schema = self.client.create_schema(auto_id=False)
        schema.add_field("key", kinds.VARCHAR, max_length=32, is_primary=True)
        schema.add_field("path", kinds.VARCHAR, max_length=4096)
        for name in ("identity", "camera"):
            schema.add_field(name, kinds.VARCHAR, max_length=256, nullable=True)
        schema.add_field("time", kinds.INT64, nullable=True)
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
        with self._answering():
            (row,) = self.client.query(
                self.name, filter=condition, output_fields=["count(*)"], consistency_level=STRONG
            )
            return int(row["count(*)"])

    def _rows(self, condition: str, fields: list[str]) -> Iterator[dict[str, Any]]:
        with self._answering():
            iterator = self.client.query_iterator(
                self.name, batch_size=AT_ONCE, filter=condition, output_fields=fields
            )
            while rows := iterator.next():
                yield from rows
            iterator.close()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except self.library.MilvusException as error:
            reason = str(error.message).strip().splitlines()[0][:200]
            raise StoreError(
                f"{self.address}: Milvus does not do what it is asked for ({reason}); is it running, and is "
                "the address right?"
            ) from None


def key(path: str) -> str:
    """32 digits that stand for a path: Milvus's own iterators do not quote what is in a primary key."""
    return hashlib.blake2b(path.encode(), digest_size=16).hexdigest()


def _index_command(address: str) -> str:
    return f"vireid search index --gallery DIR --store {address}"


def _match(score: float, row: dict[str, Any]) -> Match:
    time = from_seconds(row.get("time"))
    return Match(score, row["path"], row.get("identity"), row.get("camera"), time, row["modality"])


def _entry(row: dict[str, Any]) -> Entry:
    values: dict[str, Any] = {name: row.get(name) for name in FIELDS}
    return Entry(**{**values, "time": from_seconds(values["time"])})


def _conditions(where: Where, at_once: int | None = AT_ONCE) -> list[str]:
    """Milvus's expressions of the condition: one, or several where there are many paths."""
    texts = []
    for column, wanted in (
        ("camera", where.cameras),
        ("identity", where.identities),
        ("modality", where.modalities),
    ):
        if wanted:
            texts.append(f"{column} in {_quoted(wanted)}")
    for sign, time in ((">=", where.after), ("<", where.before)):
        if time is not None:
            texts.append(f"time {sign} {seconds(time)}")
    if not where.paths:
        return [" and ".join(texts)]
    step = at_once or len(where.paths)
    parts = [where.paths[first : first + step] for first in range(0, len(where.paths), step)]
    return [" and ".join([*texts, f"key in {_quoted(list(map(key, part)))}"]) for part in parts]


def _quoted(values: Sequence[str]) -> str:
    return json.dumps(list(values), ensure_ascii=False)
