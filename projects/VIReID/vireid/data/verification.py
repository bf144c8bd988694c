"""Verifying a dataset's folder: counts, lists and images; faults are gathered, not raised.

A dataset that reads its lists with ``report=self.report`` has all faults of a list named, another the first.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os.path import normpath, relpath

from vireid.data.counts import (
    SUBSETS,
    Row,
    count_faults,
    count_groups,
    is_published,
    table_rows,
)
from vireid.data.datasets.base import ImageItem, VisibleInfraredDataset
from vireid.data.datasets.lists import name_some
from vireid.data.datasets.separation import by_number, shared_fault
from vireid.data.image_scan import Use, color_faults, copy_faults, scan, sizes
from vireid.errors import DatasetError
from vireid.modality import Modality


@dataclass
class Verification:
    """What was found.

    Attributes:
        rows: of the table of counts.
        faults: one line each, in the order in which they were found, each once.
        notes: what else is worth knowing.
    """

    rows: list[Row] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set, repr=False)

    def report(self, fault: str) -> None:
        """Add a fault."""
        if fault not in self._seen:
            self._seen.add(fault)
            self.faults.append(fault)


def verify(
    dataset: VisibleInfraredDataset,
    *,
    published: bool | None = None,
    sample: int | None = 32,
    progress: bool | None = None,
) -> Verification:
    """Read all lists and files of a dataset.

    Args:
        published: whether counts have to be the published ones; None: where the number of training or
            test identities is the published one.
        sample: how many images of each modality and camera are decoded; None: all.
        progress: show a bar; None: where standard error is a terminal.
    """
    found = Verification()
    uses: dict[str, list[Use]] = defaultdict(list)
    counted = {}
    for name, part in dataset.parts().items():
        part.report = found.report
        subsets = {subset: _items(part, subset, found) for subset in SUBSETS}
        counted[name] = count_groups(**subsets)
        where = f"{name}: " if name else ""
        for fault in _part_faults(part, subsets):
            found.report(where + fault)
        for subset, items in subsets.items():
            for item in items:
                uses[normpath(item.path)].append(Use(name, subset, item, part.identity(item)))
        if all(subsets.values()):
            for fault in part.own_faults():
                found.report(where + fault)
        _compare(found, where, counted[name], dataset, published)
    found.rows = table_rows(counted, dataset.published)
    looks = scan(uses, sample, progress)
    for fault in (look.fault for look in looks.values() if look.fault):
        found.report(fault)
    for fault in (*copy_faults(uses, looks), *color_faults(uses, looks)):
        found.report(fault)
    found.notes.append(f"{len(looks):,} files, height x width {sizes(looks.values())}")
    return found


def _items(part: VisibleInfraredDataset, subset: str, found: Verification) -> list[ImageItem]:
    try:
        return part.train if subset == "train" else part.test
    except DatasetError as error:  # a list without which nothing can be read
        found.report(str(error))
        return []


def _part_faults(part: VisibleInfraredDataset, subsets: dict[str, list[ImageItem]]) -> Iterator[str]:
    identity = part.identity
    known = any(identity(item) is not None for items in subsets.values() for item in items[:1])
    shared = shared_fault(subsets["train"], subsets["test"], identity if known else None)
    if shared:
        yield shared
    for subset, items in subsets.items():
        yield from (f"{subset}: {fault}" for fault in _misplaced(part, items))
        yield from (f"{subset}: {fault}" for fault in _repetitions(part, items))
        if known:
            yield from (f"{subset}: {fault}" for fault in _label_conflicts(part, items))


def _repetitions(part: VisibleInfraredDataset, items: Sequence[ImageItem]) -> Iterator[str]:
    first: dict[str, ImageItem] = {}
    for item in items:
        held = first.setdefault(normpath(item.path), item)
        if held is item:
            continue
        if held.pid != item.pid:
            yield f"{item.path} is listed under two labels, {held.pid} and {item.pid}"
        elif held.modality != item.modality:
            if not part.modality_folders:  # else it is misplaced
                yield f"{item.path} is listed as visible and as infrared"
        else:
            yield f"{item.path} is listed twice"


def _misplaced(part: VisibleInfraredDataset, items: Sequence[ImageItem]) -> Iterator[str]:
    """Images outside the dataset's folder, and in folders of the other modality."""
    misplaced: dict[tuple[Modality, str], list[str]] = defaultdict(list)
    totals: dict[Modality, int] = defaultdict(int)
    for item in items:
        if item.modality not in part.modality_folders:
            continue
        totals[item.modality] += 1
        folder = relpath(item.path, part.dataset_dir).split(os.sep)[0]
        if folder == os.pardir:
            yield f"{item.path} leads out of {part.dataset_dir}"
        elif folder not in part.modality_folders[item.modality]:
            misplaced[item.modality, folder].append(item.path)
    for (modality, folder), paths in misplaced.items():
        expected = " or ".join(f"{name}/" for name in part.modality_folders[modality])
        yield (
            f"{len(paths)} of {totals[modality]} {modality.name.lower()} images are in {folder}/, not in "
            f"{expected}, such as {paths[0]}: is the list that of the other modality?"
        )


def _label_conflicts(part: VisibleInfraredDataset, items: Sequence[ImageItem]) -> Iterator[str]:
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


def _compare(
    found: Verification, where: str, counts: dict, dataset: VisibleInfraredDataset, published: bool | None
) -> None:
    expected = dataset.published
    if expected is None or published is False:
        return
    if published or is_published(counts, expected):
        for fault in count_faults(counts, expected):
            found.report(where + fault)
        note = f"counts compared with those of {expected.source}"
    else:
        train, test = (expected.counts[subset, None, None].identities for subset in SUBSETS)
        note = (
            f"not the published {dataset.folder}, which has {train} identities for training and {test} for "
            "testing: counts are not compared (--published compares them)"
        )
    if note not in found.notes:
        found.notes.append(note)
