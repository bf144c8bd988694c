"""Which files are to be embedded into a store, and which of those that it has are gone."""

import datetime
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from vireid.errors import ImageError, StoreError, UserError
from vireid.image_layouts import Choices, contradictions, read_paths
from vireid.inference.inputs import AUTO
from vireid.inference.labels import Labels, image_files
from vireid.inference.records import real_paths
from vireid.inference.stores.protocol import Store

logger = logging.getLogger("fastreid.vireid.inference")

NOT_TEXT = "{!a}: its name is not text in UTF-8"
# More missing files than these, and than this share of a store, look like a disk that is not mounted.
FEW_MISSING, SHARE_MISSING = 5, 0.2


@dataclass
class Indexed:
    """What ``index_folder`` did.

    Attributes:
        added: images that are new in the store.
        replaced: images that the store had otherwise: see ``find_tasks``.
        kept: images that the store had as they are.
        skipped: path and reason of each file that is no image, or cannot be read.
        others: files that are not named like images.
        levels: what the names of the folders were taken for, and what contradicts itself; one line each.
    """

    added: int = 0
    replaced: int = 0
    kept: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    others: int = 0
    levels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Task:
    """A file to embed.

    Attributes:
        path: as of ``real_paths``.
        named: as it was found, whose folders say what is known of it.
        stamp: as in ``Entry``.
        modified: when the file was.
        new: the store has no image of this path.
    """

    path: str
    named: str
    stamp: str
    modified: datetime.datetime
    new: bool


def find_tasks(
    store: Store, folder: Path, labels: Mapping[str, Labels], counts: Indexed, modality: str = AUTO
) -> list[Task]:
    """Files below a folder that the store does not have, or has as they were before, or of which the table or
    ``modality`` says something else than the store.

    Args:
        counts: of the other files.

    Raises:
        UserError: there is no image below the folder, or the table names one that does not exist.
    """
    found, counts.others = image_files(folder)
    if not found:
        raise UserError(f"{folder} holds no images: no file below it has a name such as 0001.jpg or a.png")
    missing = [path for path in labels if not os.path.isfile(path)]
    if missing:
        raise UserError(f"the table names {missing[0]}, which does not exist; its paths begin at {folder}")
    paths = dict(zip(real_paths(found), found))
    stamps, tasks = store.stamps(), []
    otherwise = _otherwise(store, labels, modality)
    for path, named in paths.items():
        if not is_text(path):
            counts.skipped.append((path, NOT_TEXT.format(path)))
            logger.warning("skipped: %s", counts.skipped[-1][1])
            continue
        if os.path.islink(path) and os.path.realpath(path) in paths:
            counts.others += 1  # another name of an image that is below the folder, too
            continue
        task = task_of(path, named, new=path not in stamps)
        if task.new or stamps[path] != task.stamp or path in otherwise:
            tasks.append(task)
        else:
            counts.kept += 1
    below = [PurePath(task.named).relative_to(os.path.abspath(folder)) for task in tasks]
    found_names, counts.levels = read_paths(below, Choices(persons=False))
    counts.levels += contradictions(below, found_names)
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


def task_of(path: str, named: str, new: bool = True) -> Task:
    """A file as it is now; see ``Task``."""
    try:
        status = os.stat(path)
    except OSError:  # a link to nothing: said when it is read
        return Task(path, named, "", datetime.datetime(1970, 1, 1), new)
    modified = datetime.datetime.fromtimestamp(int(status.st_mtime))
    return Task(path, named, f"{status.st_size}-{status.st_mtime_ns}", modified, new)


def file_tasks(paths: Sequence[str]) -> list[Task]:
    """Files that were named one by one; each once.

    Raises:
        ImageError: a name is not text.
    """
    tasks = [task_of(path, named) for path, named in dict(zip(real_paths(paths), paths)).items()]
    nameless = next((task.path for task in tasks if not is_text(task.path)), None)
    if nameless is not None:
        raise ImageError(NOT_TEXT.format(nameless))
    return tasks


def missing_files(store: Store, insist: bool) -> tuple[str, ...]:
    """Paths of a store's images whose files are gone.

    Args:
        insist: also where all files are, or so many that their disk may not be mounted.

    Raises:
        StoreError: so many are gone, and ``insist`` is False.
    """
    known = store.stamps()
    gone = tuple(path for path in known if _is_gone(path))
    most = max(FEW_MISSING, SHARE_MISSING * len(known))
    if gone and not insist and (len(gone) > most or len(gone) == len(known)):
        raise StoreError(
            f"the files of {len(gone)} of {len(known)} images are gone, such as {gone[0]}: is their disk "
            "mounted? insist=True, or `vireid search delete --missing --insist`, deletes them all the same"
        )
    return gone


def _is_gone(path: str) -> bool:
    """Whether there is no such file; one that cannot be looked at now is not gone."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
