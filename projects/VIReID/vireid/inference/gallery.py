"""A gallery: images in a store, found by an image."""

import os
from collections.abc import Iterable
from pathlib import Path

from vireid.errors import UserError
from vireid.inference.embedder import Embedder
from vireid.inference.indexing import embed_files, index_folder
from vireid.inference.inputs import AUTO, one_by_one, one_modality_each
from vireid.inference.labels import Labels
from vireid.inference.records import Names, Time, Where, as_time, camera_name, conditions
from vireid.inference.searching import Search
from vireid.inference.sharding import joined_processes, process_rank
from vireid.inference.stores import open_store
from vireid.inference.tasks import Indexed, missing_files


class Gallery(Search):
    """Images that can be searched, see ``Search``; also a context manager, which closes it."""

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
