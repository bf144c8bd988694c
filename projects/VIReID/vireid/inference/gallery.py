"""A gallery: images in a store, found by an image."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vireid.errors import StoreError, UserError
from vireid.inference.embedder import Embedder
from vireid.inference.indexing import embed_files, index_folder
from vireid.inference.inputs import AUTO, AnyImage, one_by_one, one_modality_each
from vireid.inference.labels import Labels
from vireid.inference.progress import warn_of_equal_scores
from vireid.inference.records import Entry, Match, Names, Time, Where, as_time, camera_name, conditions
from vireid.inference.sharding import joined_processes, process_rank
from vireid.inference.stores import open_store
from vireid.inference.stores.protocol import Store, present
from vireid.inference.tasks import Indexed, missing_files


class Gallery:
    """Images that can be searched; also a context manager, which closes it.

    Args:
        store: of ``open_store``; None in all processes of torchrun but the first.
        embedder: of the store's model; None: neither ``index``, nor ``add``, nor ``search``.
    """

    def __init__(self, store: Store | None, embedder: Embedder | None = None) -> None:
        self._store, self._embedder = store, embedder

    @classmethod
    def open(
        cls, store: str | Path, embedder: Embedder | None = None, *, exact_up_to: int | None = None
    ) -> "Gallery":
        """Open a store; with an embedder, ``index`` and ``add`` make it where there is none.

        Args:
            store: a folder; ``http://host:19530/name`` for Milvus; or ``file.db`` for Milvus Lite.
            embedder: what embeds images and queries.
            exact_up_to: images up to which a search in a folder compares the query with every vector;
                above, it is approximate. None: as it was, or 5,000.

        Raises:
            StoreError: there is none, or it is damaged, of another model, or does not answer.
        """
        if process_rank() > 0:  # the first process keeps the store
            return cls(None, embedder)
        about = None if embedder is None else embedder.about()
        opened = open_store(store, about, create=embedder is not None, exact_up_to=exact_up_to)
        return cls(opened, embedder)

    def index(
        self,
        folder: str | Path,
        *,
        table: str | Path | None = None,
        modality: str = AUTO,
        progress: bool | None = None,
    ) -> Indexed:
        """Embed every image below a folder that the store does not have yet, or has otherwise: its file has
        changed, or the table or ``modality`` says something else of it now.

        Every 2,048 images are committed: what was stopped goes on there. Processes of torchrun share the
        work.
        Identity, camera, time and modality are read from the table, else from names (see
        ``vireid.inference.labels.labels_of_name``); a time, else, from EXIF data or the file's own.

        Args:
            folder: of the images.
            table: a CSV file with the columns path and some of identity, camera, time and modality.
            modality: "visible" or "infrared" for all images; "auto": what table or name says, else as the
                image looks.
            progress: show a bar; None: where standard error is a terminal.

        Raises:
            UserError: no such folder, no image in it, or a wrong table.
            StoreError: another process is writing, or the disk is full; what was committed stays.
        """
        with joined_processes() as processes:
            return index_folder(
                self._store,
                self.embedder,
                Path(folder),
                processes,
                table=Path(table) if table else None,
                modality=modality,
                progress=progress,
            )

    def add(
        self,
        paths: str | Path | Iterable[str | Path],
        *,
        modality: str = AUTO,
        identity: str | None = None,
        camera: str | None = None,
        time: Time | None = None,
    ) -> int:
        """Add image files, or replace those of the same path; all or none of them.

        Args:
            paths: of the files.
            modality: of all, see ``index``.
            identity, camera, time: of all; None: what the file's name says.

        Returns:
            How many.

        Raises:
            ImageError: a file that cannot be read, or whose name is not text in UTF-8.
            UserError: a time of another form.
        """
        one_modality_each(modality, 1)  # a wrong one is refused
        known = "" if modality == AUTO else modality
        given = Labels(identity, camera_name(camera) if camera else None, as_time(time, "time"), known)
        named = [os.path.abspath(str(path)) for path in one_by_one(paths)]  # type: ignore[arg-type]
        entries, vectors = embed_files(self.embedder, named, given)
        with self.store.writing():
            self.store.add(entries, vectors)
            self.store.optimize()
        return len(entries)

    def search(
        self,
        image: AnyImage,
        top: int = 10,
        *,
        modality: str = AUTO,
        camera: Names | None = None,
        identity: Names | None = None,
        after: Time | None = None,
        before: Time | None = None,
        of: str | None = None,
    ) -> list[Match]:
        """The images that are most like a query, best first.

        Args:
            image: as of ``Embedder.embed``.
            top: how many.
            modality: of the query.
            camera, identity: one or several, of which a found image has one; none has one of an empty list.
            after: only images of this time or later, such as "2026-01-31" or "2026-01-31T18:30".
            before: only images earlier than this.
            of: only images of this modality.

        Raises:
            ImageError: the query cannot be read.
            StoreError: the store does not answer, or has been damaged.
        """
        if top < 1:
            raise UserError(f"top is {top}; expected 1 or more")
        vector = self.embedder.embed(image, modality)
        if len(vector) != 1:
            raise UserError(f"a search takes one query, and these are {len(vector)}")
        where = conditions(camera=camera, identity=identity, after=after, before=before, of=of)
        found = self.store.search(vector, top, where)[0]
        warn_of_equal_scores([match.score for match in found])
        return found

    def delete(
        self,
        paths: Names | None = None,
        *,
        camera: Names | None = None,
        identity: Names | None = None,
        after: Time | None = None,
        before: Time | None = None,
    ) -> int:
        """Delete the images that meet every condition that is given, and their embeddings; how many.

        Raises:
            UserError: no condition is given.
            StoreError: another process is writing.
        """
        where = conditions(camera=camera, identity=identity, after=after, before=before, paths=paths)
        if not where:
            raise UserError("nothing says what to delete: give paths, a camera, an identity or a time")
        with self.store.writing():
            count = self.store.delete(where)
            self.store.optimize()
        return count

    def delete_missing(self, *, insist: bool = False) -> int:
        """Delete the images whose files are gone; how many.

        Args:
            insist: also where all files are, or so many that their disk may not be mounted.

        Raises:
            StoreError: so many are gone, and ``insist`` is False.
        """
        with self.store.writing():
            gone = missing_files(self.store, insist)
            count = self.store.delete(Where(paths=gone)) if gone else 0
            self.store.optimize()
        return count

    def present(self, **asked: Any) -> str:
        """What the store has of that for which the conditions of a search ask, where no image meets them."""
        return present(self.store, conditions(**asked))

    def entries(
        self,
        *,
        camera: Names | None = None,
        identity: Names | None = None,
        after: Time | None = None,
        before: Time | None = None,
    ) -> list[Entry]:
        """What the store keeps of the images that meet every condition that is given."""
        return self.store.entries(conditions(camera=camera, identity=identity, after=after, before=before))

    def info(self) -> dict[str, Any]:
        """Numbers of images, identities and cameras, the model, and how it is searched."""
        return self.store.info()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.store)

    def close(self) -> None:
        """Let go of files and connections."""
        if self._store is not None:
            self._store.close()

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_kept_here(self) -> bool:
        """Whether this process has the store: of several of torchrun, the first one alone."""
        return self._store is not None

    @property
    def store(self) -> Store:
        """Where the images are."""
        if self._store is None:
            raise StoreError("only the first process of torchrun has the store")
        return self._store

    @property
    def embedder(self) -> Embedder:
        """What embeds images and queries."""
        if self._embedder is None:
            raise UserError("this gallery was opened without an embedder: Gallery.open(store, embedder)")
        return self._embedder
