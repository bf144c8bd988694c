"""What all kinds of stores can do, and what each of them refuses."""

import importlib
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from vireid.errors import ConfigError, StoreError
from vireid.inference.network import cosine
from vireid.inference.records import EVERYTHING, About, Entry, Match, Where, from_seconds

# The least cosine of two embeddings of the same image by the same model: on a GPU, in bfloat16, exported.
SAME = 0.999
SHOWN = 20  # names in a message


class Store(Protocol):
    """Entries and their embeddings.

    Attributes:
        about: the model whose embeddings it holds.
        calibration: what ``calibrate`` has kept; empty where nothing is.
    """

    about: About
    calibration: dict[str, Any]

    def __len__(self) -> int:
        """Number of images."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Hold the store alone for writing: ``add``, ``delete`` and ``optimize`` are called within. Makes the
        store where there is none.

        Raises:
            StoreError: another process holds it, or it cannot be made.
        """
        ...

    def add(self, entries: Sequence[Entry], vectors: np.ndarray) -> None:
        """Add images, or replace those of the same path: all of them, or, after an error or a kill, none.

        Args:
            entries: N, each of another path.
            vectors: (N, D) float32, L2-normalized.

        Raises:
            StoreError: see ``check_rows``; or the disk is full, or the server does not answer; the store is
                as it was.
        """
        ...

    def delete(self, where: Where) -> int:
        """Delete images, their embeddings included; how many."""
        ...

    def optimize(self) -> None:
        """Prepare fast searches after a change: it never changes what is stored."""
        ...

    def search(self, vectors: np.ndarray, top: int, where: Where = EVERYTHING) -> list[list[Match]]:
        """For each of (Q, D) vectors the images of the largest cosine, best first."""
        ...

    def entries(self, where: Where = EVERYTHING) -> list[Entry]:
        """Images in the order of their paths."""
        ...

    def read(self, where: Where = EVERYTHING) -> tuple[list[Entry], np.ndarray]:
        """As ``entries``, with their vectors: (N, D) float32."""
        ...

    def calibrate(self, calibration: dict[str, Any]) -> None:
        """Keep thresholds, see ``vireid.inference.thresholds``, in place of those that it has."""
        ...

    def stamps(self) -> dict[str, str]:
        """Path -> stamp of every image."""
        ...

    def info(self) -> dict[str, Any]:
        """What ``vireid search info`` prints: plain values by name."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


def check_rows(address: str, entries: Sequence[Entry], vectors: np.ndarray, dimension: int) -> None:
    """Refuse, before anything is written, what a store must not hold.

    Raises:
        StoreError: another number of vectors than of entries, or of numbers in a vector; one that is not
            finite, or zero; a path twice.
    """
    if vectors.shape != (len(entries), dimension):
        raise StoreError(
            f"{address}: {len(entries)} images come with vectors {vectors.shape}; expected "
            f"({len(entries)}, {dimension})"
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1) | ~vectors.any(axis=1))
    if len(bad):
        raise StoreError(f"{address}: the vector of {entries[bad[0]].path} is zero, NaN or infinite")
    paths: set[str] = set()
    for entry in entries:
        if entry.path in paths:
            raise StoreError(f"{address}: {entry.path} is to be added twice at once")
        paths.add(entry.path)


def check_model(address: str, held: About, used: About | None) -> None:
    """Refuse embeddings of another model.

    Raises:
        StoreError: names both.
    """
    if used is None:
        return
    if (held.fingerprint, held.dimension) != (used.fingerprint, used.dimension):
        how = f"and this is {_model(used)}"
    else:
        alike = [cosine(text, used.probe[kind]) for kind, text in held.probe.items() if kind in used.probe]
        if min(alike, default=1.0) >= SAME:
            return
        how = (
            f"and this model of the same weights embeds otherwise (cosine {min(alike):.3f} for one image): a "
            "setting of its architecture differs"
        )
    raise StoreError(
        f"{address} holds embeddings of {_model(held)}, {how}: they cannot be compared; use that model, or "
        "index the gallery into another store"
    )


def summary(
    about: About,
    *,
    identity: Sequence[str | None],
    camera: Sequence[str | None],
    time: Sequence[int | None],
    modality: Sequence[str],
    track: Sequence[str | None],
) -> dict[str, Any]:
    """What ``Store.info`` says of the images, one value of each for an image, and of their model."""
    cameras = Counter(name or "unknown" for name in camera)
    times = [value for value in time if value is not None]
    return {
        "images": len(modality),
        "identities": len({*identity} - {None}),
        "tracks": len({*track} - {None}),
        "cameras": dict(sorted(cameras.items(), key=lambda pair: (len(pair[0]), pair[0]))),
        "modalities": dict(sorted(Counter(modality).items())),
        "first": str(from_seconds(min(times))) if times else "",
        "last": str(from_seconds(max(times))) if times else "",
        "model": about.model,
        "fingerprint": about.fingerprint,
        "dimension": about.dimension,
    }


def present(store: Store, asked: Where) -> str:
    """What a store has of that for which a condition asks, to be said where no image meets it."""
    info, said = store.info(), {}
    if asked.cameras is not None:
        said["cameras"] = list(info["cameras"])
    if asked.identities is not None:
        said["identities"] = sorted({entry.identity for entry in store.entries() if entry.identity})
    if asked.modalities is not None:
        said["modalities"] = list(info["modalities"])
    if asked.times():
        said["times"] = [f"{info['first']} to {info['last']}"] if info["first"] else []
    return "; ".join(
        f"{name} in the store: {', '.join(values[:SHOWN]) or 'none'}{', ...' if len(values) > SHOWN else ''}"
        for name, values in said.items()
    )


def library(name: str, extra: str, address: str) -> Any:
    """The package that a kind of store needs.

    Raises:
        ConfigError: it is not installed; names the command that installs it.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(f'{address} needs {name}: pip install "fastreid-vi[{extra}]"') from None


def no_store(address: str) -> StoreError:
    """That there is none, and how one is made."""
    return StoreError(
        f"{address} is no store; `vireid search index` makes one, or Gallery.open(store, embedder) and index"
    )


def _model(about: About) -> str:
    return f"{about.model or 'a model'} (fingerprint {about.fingerprint}, {about.dimension} numbers an image)"
