"""Bulk embedding of a folder into a store: shared by processes, and going on where it was."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np

from vireid.errors import UserError
from vireid.inference.embedder import Embedder
from vireid.inference.inputs import AUTO, Ready
from vireid.inference.labels import Labels, labels_of_name, merged, read_table
from vireid.inference.progress import Counts, embedding_bar
from vireid.inference.records import Entry
from vireid.inference.sharding import Processes
from vireid.inference.stores.protocol import Store
from vireid.inference.tasks import Indexed, Task, file_tasks, find_tasks

logger = logging.getLogger("fastreid.vireid.inference")

AT_ONCE = 2_048  # images of each process between two commits: what a kill loses


def index_folder(
    store: Store | None,
    embedder: Embedder,
    folder: Path,
    processes: Processes,
    *,
    table: Path | None = None,
    modality: str = AUTO,
    progress: bool | None = None,
) -> Indexed:
    """Embed the images below a folder that the store does not have as they are.

    Args:
        store: of the first process, which alone writes to it.
        embedder: of the store's model.
        folder: see ``vireid.inference.labels`` for what is read from the names below it.
        processes: that share the work.
        table: a CSV file, whose values are preferred to those of the names.
        modality: "visible" or "infrared" for all images; "auto": what table or name says, else as the
            image looks.
        progress: show images done, images a second, and time left; None: where standard error is a terminal.

    Raises:
        UserError: no such folder, an empty one, or a wrong table.
        StoreError: see ``Store.writing`` and ``Store.add``.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder, and the images are to be in one")
    labels = read_table(table, folder) if table else {}
    counts = Indexed()
    # What is refused here leaves no empty store: ``writing`` makes it.
    tasks = processes.broadcast(
        None if store is None else find_tasks(store, folder, labels, counts, modality)
    )
    with nullcontext() if store is None else store.writing():
        own = processes.share(tasks, AT_ONCE)
        known = [_labels(task, folder, labels) for task in own]
        seen = Counts()
        stream = _embedded(embedder, own, known, modality, seen)
        with embedding_bar(len(tasks), progress if store is not None else False) as bar:
            for _ in range(0, len(tasks), AT_ONCE * processes.count):
                rows = [row for _, row in zip(range(AT_ONCE), stream)]
                for share in processes.gather(rows):
                    _keep(store, share, counts)
                    bar.update(len(share))
        for found in processes.gather(seen):
            found.log()
        if store is not None:
            store.optimize()
    return counts


@dataclass(frozen=True, eq=False)
class Row:
    """An image that was embedded, or why it was not."""

    task: Task
    entry: Entry
    vector: np.ndarray
    fault: str


def embed_files(embedder: Embedder, paths: Sequence[str], given: Labels) -> tuple[list[Entry], np.ndarray]:
    """What a store is to hold of files that were named one by one.

    Args:
        given: preferred to what the names say.

    Raises:
        ImageError: a file that cannot be read, or whose name is not text in UTF-8.
    """
    tasks = file_tasks(paths)
    labels = [merged(given, labels_of_name(PurePath(*Path(task.named).parts[-3:]))) for task in tasks]
    modalities = [known.modality or AUTO for known in labels]
    ready, vectors = embedder.embed_ready([task.path for task in tasks], modalities)
    return [entry_of(task, known, image) for task, known, image in zip(tasks, labels, ready)], vectors


def entry_of(task: Task, labels: Labels, ready: Ready) -> Entry:
    """What a store keeps of a file; its time is that of labels, else of its EXIF data, else of the file."""
    time = labels.time or ready.taken or task.modified
    modality = ready.modality.name.lower()
    return Entry(task.path, labels.identity, labels.camera, time, modality, task.stamp, labels.track)


def _labels(task: Task, folder: Path, labels: Mapping[str, Labels]) -> Labels:
    gallery = Path(os.path.abspath(folder))
    named = labels_of_name(Path(task.named).relative_to(gallery))
    # The gallery's own name may be that of a camera or a modality; it is not that of a person.
    around = replace(labels_of_name(Path(task.named).relative_to(gallery.parent)), identity=None)
    return merged(labels.get(task.path), merged(named, around))


def _embedded(
    embedder: Embedder, tasks: Sequence[Task], labels: Sequence[Labels], modality: str, seen: Counts
) -> Iterator[Row]:
    wanted = [modality if modality != AUTO else known.modality or AUTO for known in labels]
    for first, batch, vectors in embedder.stream([task.path for task in tasks], wanted):
        for number, (ready, vector) in enumerate(zip(batch, vectors), start=first):
            task = tasks[number]
            if not ready.fault:
                seen.add(task.path, ready, vector)
            yield Row(task, entry_of(task, labels[number], ready), vector, ready.fault)


def _keep(store: Store | None, rows: Sequence[Row], counts: Indexed) -> None:
    """Write rows to the store; count them, and say which files were skipped."""
    if store is None:
        return
    for row in rows:
        if row.fault:
            logger.warning("skipped: %s", row.fault)
            counts.skipped.append((row.task.path, row.fault))
    good = [row for row in rows if not row.fault]
    if good:
        store.add([row.entry for row in good], np.stack([row.vector for row in good]))
    new = sum(row.task.new for row in good)
    counts.added += new
    counts.replaced += len(good) - new
