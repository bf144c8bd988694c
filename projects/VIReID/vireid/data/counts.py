"""Images and identities of a dataset by subset, modality and camera, beside the published numbers."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vireid.data.datasets.base import ImageItem
from vireid.data.datasets.published_counts import Count, Group, PublishedCounts
from vireid.modality import Modality

SUBSETS = ("train", "test")


class Row(NamedTuple):
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


def table_rows(parts: Mapping[str, Mapping[Group, Count]], published: PublishedCounts | None) -> list[Row]:
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
            rows.append(Row(group, tuple(names), count, expected.get(group, Count(None, None))))
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
