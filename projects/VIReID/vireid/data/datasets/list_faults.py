"""What is wrong with the images of a list, seen from their paths and labels alone."""

import os
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from os.path import basename, dirname, normpath, relpath
from typing import Any

from vireid.data.datasets.reading import SEE, name_some
from vireid.errors import DatasetError
from vireid.modality import Modality


def item_faults(dataset: Any, items: Sequence[Any]) -> Iterator[str]:
    """Images outside the dataset's folder, in the folder of the other modality, under two labels or in both
    modalities; identities with two labels, and labels of two identities.

    Args:
        dataset: one of ours.
        items: its training or its test images.
    """
    yield from _misplaced(dataset, items)
    yield from _conflicts(dataset, items)
    if any(dataset.identity(item) is not None for item in items[:1]):
        yield from _label_conflicts(dataset, items)


def repeated(items: Sequence[Any]) -> Iterator[str]:
    """Images that are listed twice, with the same label, modality and track."""
    seen = set()
    for item in items:
        key = normpath(item.path), item.pid, item.modality, item.track
        if key in seen:
            yield f"{item.path} is listed twice"
        seen.add(key)


def _conflicts(part: Any, items: Sequence[Any]) -> Iterator[str]:
    first: dict[str, Any] = {}
    for item in items:
        held = first.setdefault(normpath(item.path), item)
        if held.pid != item.pid:
            yield f"{item.path} is listed under two labels, {held.pid} and {item.pid}"
        elif held.modality != item.modality and not part.modality_folders:  # else it is misplaced
            yield f"{item.path} is listed as visible and as infrared"


def _misplaced(part: Any, items: Sequence[Any]) -> Iterator[str]:
    """Images outside the dataset's folder, and in folders of the other modality."""
    misplaced: dict[tuple[Modality, str], list[str]] = defaultdict(list)
    totals: dict[Modality, int] = defaultdict(int)
    base = normpath(part.dataset_dir) + os.sep
    folders = {name for names in part.modality_folders.values() for name in names}
    for item in items:
        if item.modality not in part.modality_folders:
            continue
        totals[item.modality] += 1
        path = normpath(item.path)
        # relpath is slow, and seldom needed.
        inside = path[len(base) :] if path.startswith(base) else relpath(path, part.dataset_dir)
        folder = inside.split(os.sep)[0]
        if folder == os.pardir:
            yield f"{item.path} leads out of {part.dataset_dir}"
        elif folder in folders and folder not in part.modality_folders[item.modality]:
            misplaced[item.modality, folder].append(item.path)
    for (modality, folder), paths in misplaced.items():
        expected = " or ".join(f"{name}/" for name in part.modality_folders[modality])
        yield (
            f"{len(paths)} of {totals[modality]} {modality.name.lower()} images are in {folder}/, not in "
            f"{expected}, such as {paths[0]}: is the list that of the other modality?"
        )


def _label_conflicts(part: Any, items: Sequence[Any]) -> Iterator[str]:
    """Identities with two labels, and labels of two identities."""
    labels, persons = defaultdict(set), defaultdict(set)
    for item in items:
        labels[part.identity(item)].add(item.pid)
        persons[item.pid].add(part.identity(item))
    for person, pids in labels.items():
        if len(pids) > 1:
            yield f"identity {person} has the labels {', '.join(map(str, sorted(pids)))}"
    for pid, names in persons.items():
        if len(names) > 1:
            yield f"label {pid} is given to {name_some(sorted(names, key=by_number))}"


def folder_identity(path: str) -> Hashable:
    """The identity that an image's folder is named after, a number where it is one."""
    name = basename(dirname(path))
    return int(name) if name.isascii() and name.isdigit() else name


def check_separation(trained: Any, tested: Any) -> None:
    """Refuse a test set whose images or identities are trained on.

    Args:
        trained: a dataset, ours or the toolkit's; its ``train`` is used.
        tested: one of ours; its ``test`` is used. Identities are compared where both are of one class.

    Raises:
        DatasetError: names and counts what is in both.
    """
    identity = getattr(tested, "identity", None) if type(trained) is type(tested) else None
    fault = shared_fault(trained.train, tested.test, identity)
    if fault:
        names = dict.fromkeys(type(dataset).__name__ for dataset in (trained, tested))
        raise DatasetError(f"{' and '.join(names)}: {fault}; {SEE}")


def shared_fault(train: Any, test: Any, identity: Any = None) -> str:
    """What a list of training and a list of test items have in common; empty where there is nothing.

    Args:
        identity: from an item to who it shows, or None where that is not known.
    """
    of_test = {normpath(item[0]) for item in test}
    images = list(dict.fromkeys(path for item in train if (path := normpath(item[0])) in of_test))
    pids = set(map(identity, train)) & set(map(identity, test)) - {None} if identity else set()
    parts = []
    if pids:
        parts.append(f"{len(pids)} of the test identities ({name_some(sorted(pids, key=by_number))})")
    if images:
        parts.append(f"{len(images)} of the test images ({images[0]}{', ...' if len(images) > 1 else ''})")
    if not parts:
        return ""
    return f"{' and '.join(parts)} are also in the training set: take them out of one of the two"


def by_number(pid: Any) -> tuple[bool, Any]:
    """A key that sorts identities: numbers, then names."""
    return isinstance(pid, str), pid
