"""Verifying a dataset's folder: counts, lists and images; faults are gathered, not raised.

A dataset that reads its lists with ``report=self.report`` has all faults of a list named, another the first.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from os.path import normpath

from vireid.data.counts import (
    SUBSETS,
    Row,
    count_faults,
    count_groups,
    is_published,
    table_rows,
)
from vireid.data.datasets.base import ImageItem, VisibleInfraredDataset
from vireid.data.datasets.items import item_faults, repeated
from vireid.data.datasets.separation import shared_fault
from vireid.data.image_scan import Use, color_faults, copy_faults, scan, sizes
from vireid.errors import DatasetError


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
        yield from (f"{subset}: {fault}" for fault in (*item_faults(part, items), *repeated(items)))


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
