"""Verifying a dataset's folder: counts, lists and images; faults are gathered, not raised.

A dataset that reads its lists with ``report=self.report`` has all faults of a list named, another the first.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os.path import normpath
from typing import NamedTuple

import numpy as np

from vireid.data.datasets.base import ImageItem, VisibleInfraredDataset
from vireid.data.datasets.list_faults import item_faults, repeated, shared_fault
from vireid.data.datasets.published_counts import Count, Group, PublishedCounts
from vireid.data.image_scan import Use, color_faults, copy_faults, scan, sizes
from vireid.errors import DatasetError, UserError
from vireid.modality import Modality

SUBSETS = ("train", "test")


class CountRow(NamedTuple):
    """One line of the table."""

    group: Group
    parts: tuple[str, ...]  # of the dataset, that have these numbers
    found: Count
    published: Count


def count_groups(train: Sequence[ImageItem], test: Sequence[ImageItem]) -> dict[Group, Count]:
    """Images and identities of each subset, of its modalities and their cameras, and of both subsets.

    The identities of both are the sum: the same label may be another person in the other list.
    """
    images: dict[Group, int] = defaultdict(int)
    pids: dict[Group, set[int]] = defaultdict(set)
    for subset, items in zip(SUBSETS, (train, test)):
        pids[subset, None, None] = set()
        for item in items:
            for group in _groups_of(subset, item):
                images[group] += 1
                pids[group].add(item.pid)
    counts = {group: Count(images[group], len(held)) for group, held in pids.items()}
    both = [counts[subset, None, None] for subset in SUBSETS]
    counts["", None, None] = Count(*(sum(column) for column in zip(*both)))  # type: ignore[arg-type]
    return counts


def is_published(counts: Mapping[Group, Count], published: PublishedCounts) -> bool:
    """Whether this is meant to be the published dataset: the training or the test identities are as many."""
    groups = [(subset, None, None) for subset in SUBSETS]
    return any(counts[group].identities == published.counts[group].identities for group in groups)


def count_faults(counts: Mapping[Group, Count], published: PublishedCounts) -> list[str]:
    """Each group that has other numbers than were published."""
    faults = []
    for group, expected in published.counts.items():
        found = counts.get(group, Count(0, 0))
        if any(number is not None and number != here for number, here in zip(expected, found)):
            faults.append(f"{describe(group)}: {spell(found)}; published: {spell(expected)}")
    return faults


def table_rows(
    parts: Mapping[str, Mapping[Group, Count]], published: PublishedCounts | None
) -> list[CountRow]:
    """A row for each group, or several where the parts of a dataset differ."""
    expected = published.counts if published else {}
    groups = sorted({group for counts in parts.values() for group in counts} | set(expected), key=_place)
    cameras = Counter(group[:2] for group in groups if group[2] is not None)
    rows = []
    for group in groups:
        if group[2] is None and cameras[group[:2]] == 1:
            continue  # the row of its one camera says it
        same: dict[Count, list[str]] = defaultdict(list)
        for name, counts in parts.items():
            same[counts.get(group, Count(0, 0))].append(name)
        for count, names in same.items():
            rows.append(CountRow(group, tuple(names), count, expected.get(group, Count(None, None))))
    return rows


def describe(group: Group) -> str:
    """'train, infrared, camera 3'."""
    subset, modality, camid = group
    words = [subset or "all", modality.name.lower() if modality is not None else ""]
    words.append(f"camera {camid}" if camid is not None else "")
    return ", ".join(filter(None, words))


def spell(count: Count) -> str:
    """'7,909 images of 392 identities'; what is not known is left out."""
    images, pids = count
    of_pids = "" if pids is None else f"{pids:,} {'identity' if pids == 1 else 'identities'}"
    if images is None:
        return of_pids
    return f"{images:,} image{'s' * (images != 1)}" + (f" of {of_pids}" if of_pids else "")


def _groups_of(subset: str, item: ImageItem) -> tuple[Group, ...]:
    modality = item.modality
    return (subset, None, None), (subset, modality, None), (subset, modality, item.camid)


def _place(group: Group) -> tuple[int, int, bool, int]:
    """Cameras before their modality, modalities before their subset."""
    subset, modality, camid = group
    return (
        SUBSETS.index(subset) if subset else len(SUBSETS),
        len(Modality) if modality is None else modality,
        camid is None,
        camid or 0,
    )


@dataclass
class Verification:
    """What was found.

    Attributes:
        rows: of the table of counts.
        faults: one line each, in the order in which they were found, each once.
        notes: what else is worth knowing.
    """

    rows: list[CountRow] = field(default_factory=list)
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
        tracks = [len({item.track for item in items} - {None}) for items in subsets.values()]
        if any(tracks):
            found.notes.append(f"tracks: {tracks[0]:,} for training, {tracks[1]:,} for testing")
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
        if subsets["test"]:
            _count_queries(found, where, part)
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
        yield from (f"{subset}: {fault}" for fault in (*item_faults(part, items), *repeated(items)))


def _count_queries(found: Verification, where: str, part: VisibleInfraredDataset) -> None:
    """Note, of each setting, how many queries have no match; it is a fault where most have none."""
    try:
        settings = part.settings(trials=1)
    except UserError:  # what is wrong is among the faults already, or there is nothing to test
        return
    pids = np.array([item.pid for item in part.test])
    for setting in settings:
        trial = setting.trials[0]
        without = int((~trial.matched(pids)).sum())
        told = (
            f"{where}{setting.name}: {without} of {len(trial.query)} queries have no match among "
            f"{len(trial.gallery)} gallery images, and count in no figure"
        )
        if 2 * without > len(trial.query):
            found.report(told)
        elif without:
            found.notes.append(told)


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
            "testing: counts are not compared"
        )
    if note not in found.notes:
        found.notes.append(note)
