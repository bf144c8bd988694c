"""A query of one image or several of one person, and answers in groups."""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vireid.errors import ImageError, UserError
from vireid.inference.embedder import Embedder
from vireid.inference.inputs import AnyImage, image_name, one_by_one, one_modality_each
from vireid.inference.labels import image_files
from vireid.inference.network import normalized
from vireid.inference.progress import Counts
from vireid.inference.records import EVERYTHING, Match, Where
from vireid.inference.stores.protocol import Store
from vireid.inference.thresholds import Threshold

logger = logging.getLogger("fastreid.vireid.inference")

BY = ("image", "track", "identity")
MOST = 1_000  # images of a query


@dataclass(frozen=True, eq=False)
class Query:
    """What is searched for.

    Attributes:
        vector: (1, D), the mean of the images' unit embeddings, of unit length.
        modality: of all of them.
        first: the first image that was read.
        own: paths of the store that are no answer to it.
    """

    vector: np.ndarray
    modality: str
    first: AnyImage
    own: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Answer:
    """What a search finds.

    Attributes:
        query: what was searched for.
        matches: best first.
        threshold: by which they are marked; None where the store has none for such a query.
    """

    query: Query
    matches: list[Match]
    threshold: Threshold | None


def as_query(image: AnyImage | Iterable[AnyImage], modality: str, store: Store, embedder: Embedder) -> Query:
    """A query of what is given; images that cannot be read are skipped, and the log names them.

    Args:
        image: one image or several of one person; a folder of them; or the name of a track in the store,
            whose own images are no answer.
        modality: of all of them.

    Raises:
        ImageError: no image can be read, or they are of two modalities.
    """
    if isinstance(image, str) and not os.path.lexists(image):
        entries, stored = store.read(Where(tracks=(image,)))
        if entries:
            kinds = {entry.modality: entry.path for entry in entries}
            paths = [entry.path for entry in entries]
            return Query(_mean(stored, kinds), entries[0].modality, paths[0], frozenset(paths))
    given = query_images(image)
    vectors: list[np.ndarray] = []
    kinds, faults, counts, first_read = {}, [], Counts(), given[0]
    for start, batch, found in embedder.stream(given, one_modality_each(modality, len(given))):
        for one, ready, vector in zip(given[start:], batch, found):
            if ready.fault:
                faults.append(ready.fault)
                continue
            first_read = one if not vectors else first_read
            vectors.append(vector)
            counts.add(one, ready, vector)
            kinds.setdefault(ready.modality.name.lower(), image_name(one))
    if not vectors:
        several = f"none of the {len(given)} images of the query can be read; the first: "
        raise ImageError((several if len(given) > 1 else "") + faults[0])
    for fault in faults:
        logger.warning("skipped: %s", fault)
    counts.log()
    return Query(_mean(np.stack(vectors), kinds), next(iter(kinds)), first_read)


def query_images(image: AnyImage | Iterable[AnyImage]) -> list[AnyImage]:
    """Each image of a query; those below a folder.

    Raises:
        UserError: there is none, or more than MOST.
    """
    if isinstance(image, (str, os.PathLike)) and os.path.isdir(image):
        given: list[AnyImage] = [*image_files(Path(image))[0]]
    else:
        given = list(one_by_one(image))
    if not 1 <= len(given) <= MOST:
        where = f" below {image}" if isinstance(image, (str, os.PathLike)) else ""
        raise UserError(
            f"a search takes 1 to {MOST:,} images of one person, and there are {len(given)}{where}"
        )
    return given


def _mean(vectors: np.ndarray, kinds: dict[str, str]) -> np.ndarray:
    """(1, D) of (N, D); of kinds, the name of an image by its modality.

    Raises:
        ImageError: there are two modalities, or the embeddings add up to nothing.
    """
    if len(kinds) > 1:
        (one, first), (other, second) = kinds.items()
        raise ImageError(
            f"the images of a query are of two modalities: {first} is {one}, and {second} is {other}; "
            "search by those of one, or say the modality of all"
        )
    mean = normalized(vectors.mean(axis=0, keepdims=True))
    if not mean.any():
        raise ImageError("the embeddings of the query's images add up to zero; search by fewer of them")
    return mean


def best_of_groups(
    store: Store,
    vector: np.ndarray,
    top: int,
    where: Where = EVERYTHING,
    *,
    by: str = "image",
    without: frozenset[str] = frozenset(),
) -> list[Match]:
    """What is most like a query, best first; of each track or person the best image alone.

    Args:
        by: one of BY; an image without track or identity stands for itself.
        without: paths that are left out.

    Raises:
        UserError: another ``by``.
    """
    if by not in BY:
        raise UserError(f"by is {by!r}; expected one of {', '.join(BY)}")
    count = top + len(without)
    while True:
        found = store.search(vector, count, where)[0]
        groups: dict[object, Match] = {}
        for match in found:
            if match.path not in without:
                groups.setdefault(_group(match, by), match)
        if len(groups) >= top or len(found) < count:
            return list(groups.values())[:top]
        count *= 4


def _group(match: Match, by: str) -> tuple[str, str]:
    name = None if by == "image" else getattr(match, by)
    return (by, name) if name else ("path", match.path)


def marked(matches: Sequence[Match], threshold: Threshold | None) -> list[Match]:
    """The matches, of which those that are not above a threshold are marked as nobody."""
    if threshold is None:
        return [*matches]
    return [replace(match, nobody=match.score <= threshold.score) for match in matches]
