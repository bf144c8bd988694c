"""Images as rows of a table of LanceDB, and conditions on them in SQL."""

import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from vireid.inference.records import About, Entry, Match, Where, from_seconds, seconds
from vireid.inference.stores.lance_folder import damaged

COLUMNS = ["path", "identity", "camera", "time", "modality", "stamp", "track"]
ABOUT = "vireid"  # among the metadata of the field of vectors


def schema(about: About, settings: dict[str, Any]) -> Any:
    """The columns of a table, which also holds whose vectors they are.

    Args:
        about: the model.
        settings: of the store.
    """
    import pyarrow as pa

    vectors = pa.list_(pa.float32(), about.dimension + -about.dimension % 8)
    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field("identity", pa.string()),
            pa.field("camera", pa.string()),
            pa.field("time", pa.int64()),
            pa.field("modality", pa.string(), nullable=False),
            pa.field("stamp", pa.string(), nullable=False),
            pa.field("track", pa.string()),
            pa.field("sum", pa.int64(), nullable=False),
            pa.field("vector", vectors, nullable=False, metadata=written(about, settings)),
        ]
    )


def written(about: About, settings: dict[str, Any]) -> dict[str, str]:
    """The metadata of the field of vectors; ``held`` reads them."""
    return {ABOUT: json.dumps({**settings, "about": vars(about)})}


def held(table: Any) -> tuple[About, dict[str, Any]]:
    """Whose vectors a table holds, and the settings of its store.

    Raises:
        ValueError: the table does not say it.
    """
    try:
        settings = json.loads(table.schema.field("vector").metadata[ABOUT.encode()])
        return About(**settings.pop("about")), settings
    except (KeyError, TypeError):
        raise ValueError("it does not say whose vectors it holds") from None


def padded(vectors: np.ndarray) -> np.ndarray:
    """(n, D) float32 with zeros at the end, which change no product: an index takes whole bytes of bits."""
    return np.pad(np.asarray(vectors, np.float32), ((0, 0), (0, -vectors.shape[1] % 8)))


def rows(entries: Sequence[Entry], vectors: np.ndarray, columns: Any) -> Any:
    """Images as a table of Arrow.

    Args:
        entries: N.
        vectors: (N, D).
        columns: of ``schema``.
    """
    import pyarrow as pa

    vectors = padded(vectors)
    values: list[Any] = [[getattr(entry, name) for entry in entries] for name in COLUMNS]
    values[3] = [None if time is None else seconds(time) for time in values[3]]
    sums = [row_sum(row, vector) for row, vector in zip(zip(*values), vectors)]
    arrays = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    return pa.table([*values, sums, arrays], schema=columns)


def scored(found: Any, query: np.ndarray, address: str) -> list[Match]:
    """What a search has found, with cosines, the nearest first.

    Raises:
        StoreError: a row is not what was written.
    """
    matches = []
    for row, vector in zip(found.select([*COLUMNS, "sum"]).to_pylist(), as_matrix(found)):
        if row_sum([row[name] for name in COLUMNS], vector) != row["sum"]:
            raise damaged(address, f"what it holds of {row['path']} is not what was written")
        matches.append(Match.of(entry_of(row), float(vector @ query)))
    return sorted(matches, key=lambda match: -match.score)


def as_matrix(found: Any) -> np.ndarray:
    """The vectors of a table of Arrow, with their zeros at the end."""
    column = found["vector"].combine_chunks()
    return np.asarray(column.flatten().to_numpy().reshape(len(found), column.type.list_size))


def make_indexes(table: Any, kinds: Any, name: str, bits: int) -> None:
    """Make an index of the vectors, of so many bits for each number, and those of the conditions.

    Args:
        kinds: ``lancedb.index``.
    """
    for column in ("camera", "modality"):
        table.create_index(column, config=kinds.Bitmap())
    for column in ("identity", "time", "path", "track"):
        table.create_index(column, config=kinds.BTree())
    config = kinds.IvfRq(distance_type="dot", num_partitions=1, num_bits=bits)
    table.create_index("vector", config=config, name=name)


def entry_of(row: dict[str, Any]) -> Entry:
    """The image of a row."""
    values = {name: row[name] for name in COLUMNS}
    return Entry(**{**values, "time": None if row["time"] is None else from_seconds(row["time"])})


def row_sum(values: Sequence[Any], vector: np.ndarray) -> int:
    """A sum of a row's COLUMNS and of its vector, by which it is seen whether the disk has changed them."""
    return zlib.crc32(vector.tobytes(), zlib.crc32(repr(tuple(values)).encode()))


def condition(where: Where) -> str:
    """A condition in SQL; "true" where there is none."""
    names = where.names()
    texts = [f"{name} IN ({_quoted(values)})" if values else "false" for name, values in names.items()]
    times = [f"time {sign} {value}" for sign, value in where.times()]
    return " AND ".join([*texts, *times]) or "true"


def _quoted(values: Sequence[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)
