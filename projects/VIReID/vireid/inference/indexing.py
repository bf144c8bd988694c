"""Bulk embedding of a folder into a store: shared by processes, and going on where it was."""

import datetime
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vireid.errors import UserError
from vireid.inference.embedder import Embedder
from vireid.inference.inputs import AUTO, Ready
from vireid.inference.labels import Labels, image_files, labels_of_name, merged, read_table
from vireid.inference.progress import Counts, embedding_bar
from vireid.inference.records import Entry
from vireid.inference.sharding import Processes
from vireid.inference.store import Store

logger = logging.getLogger("fastreid.vireid.inference")

NOT_TEXT = "{!a}: its name is not text in UTF-8"
AT_ONCE = 2_048  # images of each process between two commits: what a kill loses


@dataclass
class Indexed:
    """What ``index_folder`` did.

    Attributes:
        added: images that are new in the store.
        replaced: images that the store had otherwise: see ``find_tasks``.
        kept: images that the store had as they are.
        skipped: path and reason of each file that is no image, or cannot be read.
        others: files that are not named like images.
    """

    added: int = 0
    replaced: int = 0
    kept: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    others: int = 0


@dataclass(frozen=True)
class Task:
    """A file to embed.

    Attributes:
        stamp: as in ``Entry``.
        modified: when the file was.
        new: the store has no image of this path.
    """

    path: str
    stamp: str
    modified: datetime.datetime
    new: bool


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
    require_folder(folder)
    labels = read_table(table, folder) if table else {}
    counts = Indexed()
    with nullcontext() if store is None else store.writing():
        tasks = processes.broadcast(
            None if store is None else find_tasks(store, folder, labels, counts, modality)
        )
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


def require_folder(folder: Path) -> None:
    """Check that the folder of the images is there.

    Raises:
        UserError: it is not.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; --gallery names the folder of the images")


def find_tasks(
    store: Store, folder: Path, labels: Mapping[str, Labels], counts: Indexed, modality: str = AUTO
) -> list[Task]:
    """Files below a folder that the store does not have, or has as they were before, or of which the table or
    ``modality`` says something else than the store.
    """
    paths, counts.others = image_files(folder)
    if not paths:
        raise UserError(f"{folder} holds no images: no file below it has a name such as 0001.jpg or a.png")
    missing = [path for path in labels if not os.path.isfile(path)]
    if missing:
        raise UserError(f"the table names {missing[0]}, which does not exist; its paths begin at {folder}")
    stamps, tasks = store.stamps(), []
    otherwise = _otherwise(store, labels, modality)
    for path in paths:
        if not is_text(path):
            counts.skipped.append((path, NOT_TEXT.format(path)))
            logger.warning("skipped: %s", counts.skipped[-1][1])
            continue
        task = task_of(path, new=path not in stamps)
        if task.new or stamps[path] != task.stamp or path in otherwise:
            tasks.append(task)
    counts.kept = len(paths) - len(tasks) - len(counts.skipped)
    return tasks


def _otherwise(store: Store, labels: Mapping[str, Labels], modality: str) -> set[str]:
    """Paths of images of which the table or ``modality`` says something else than the store."""
    if not labels and modality == AUTO:
        return set()
    found = set()
    for entry in store.entries():
        said = vars(labels.get(entry.path, Labels()))
        if modality != AUTO:
            said = {**said, "modality": modality}
        if any(value and value != getattr(entry, name) for name, value in said.items()):
            found.add(entry.path)
    return found


def is_text(name: str) -> bool:
    """Whether a file's name is text in UTF-8, as the store keeps it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def task_of(path: str, new: bool = True) -> Task:
    """A file as it is now."""
    try:
        status = os.stat(path)
    except OSError:  # a link to nothing: said when it is read
        return Task(path, "", datetime.datetime(1970, 1, 1), new)
    modified = datetime.datetime.fromtimestamp(int(status.st_mtime))
    return Task(path, f"{status.st_size}-{status.st_mtime_ns}", modified, new)


def entry_of(task: Task, labels: Labels, ready: Ready) -> Entry:
    """What a store keeps of a file; its time is that of labels, else of its EXIF data, else of the file."""
    time = labels.time or ready.taken or task.modified
    modality = ready.modality.name.lower()
    return Entry(task.path, labels.identity, labels.camera, time, modality, task.stamp)


def _labels(task: Task, folder: Path, labels: Mapping[str, Labels]) -> Labels:
    gallery = Path(os.path.abspath(folder))
    named = labels_of_name(Path(task.path).relative_to(gallery))
    # The gallery's own name may be that of a camera or a modality; it is not that of a person.
    around = replace(labels_of_name(Path(task.path).relative_to(gallery.parent)), identity=None)
    return merged(labels.get(task.path), merged(named, around))


def _embedded(
    embedder: Embedder, tasks: Sequence[Task], labels: Sequence[Labels], modality: str, seen: Counts
) -> Iterator[Row]:
    wanted = [modality if modality != AUTO else known.modality or AUTO for known in labels]
    for first, batch, vectors in embedder.stream([task.path for task in tasks], wanted):
        for number, (ready, vector) in enumerate(zip(batch, vectors), start=first):
            task = tasks[number]
            if not ready.fault:
                seen.add(task.path, ready)
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
