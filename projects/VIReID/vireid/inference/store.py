"""A store of embeddings: what all kinds of it can do, and which kind an address names."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vireid.errors import StoreError, UserError
from vireid.inference.records import EVERYTHING, About, Entry, Match, Where

EXACT_UP_TO = 100_000


class Store(Protocol):
    """Entries and their embeddings.

    Attributes:
        about: the model whose embeddings it holds.
    """

    about: About

    def __len__(self) -> int:
        """Number of images."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Hold the store alone for writing: ``add``, ``delete`` and ``optimize`` are called within.

        Raises:
            StoreError: another process holds it.
        """
        ...

    def add(self, entries: Sequence[Entry], vectors: np.ndarray) -> None:
        """Add images, or replace those of the same path: all of them, or, after an error or a kill, none.

        Args:
            entries: N, each of another path.
            vectors: (N, D) float32, L2-normalized.

        Raises:
            StoreError: the disk is full, or the server does not answer; the store is as it was.
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
        """Images in the order in which they were added."""
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


def open_store(
    address: str | Path, about: About | None = None, *, create: bool = False, exact_up_to: int | None = None
) -> Store:
    """Open a store.

    Args:
        address: a folder; or ``http://host:19530/name``, a collection of a Milvus server (``name`` is
            "vireid" where there is none); or a file ``*.db``, the same in Milvus Lite.
        about: the model that will be used with it; None: any.
        create: make it where there is none, which needs ``about``.
        exact_up_to: images up to which every search is exact; None: as it was, or EXACT_UP_TO.

    Raises:
        StoreError: there is none, or it is damaged, of another model, or does not answer.
        UserError: ``exact_up_to`` is negative.
    """
    if exact_up_to is not None and exact_up_to < 0:
        raise UserError(f"exact_up_to is {exact_up_to}; expected 0 or more")
    text = str(address)
    if "://" in text or text.endswith(".db"):
        from vireid.inference.milvus_store import MilvusStore

        return MilvusStore(text, about, create=create)
    from vireid.inference.folder_store import FolderStore

    return FolderStore(Path(address), about, create=create, exact_up_to=exact_up_to)


def check_model(address: str | Path, held: About, used: About | None) -> None:
    """Refuse embeddings of another model.

    Raises:
        StoreError: names both.
    """
    if used is None or (held.fingerprint, held.dimension) == (used.fingerprint, used.dimension):
        return
    raise StoreError(
        f"{address} holds embeddings of {_model(held)}, and this is {_model(used)}: they cannot be compared; "
        "use that model, or index the gallery into another store"
    )


def _model(about: About) -> str:
    return f"{about.model or 'a model'} (fingerprint {about.fingerprint}, {about.dimension} numbers an image)"
