"""What a protocol is: settings, each of which averages trials. Both are checked when they are made."""

from dataclasses import dataclass

import numpy as np

from vireid.errors import UserError
from vireid.evaluation.arrays import is_integer, whole_numbers


@dataclass(frozen=True, eq=False)
class Trial:
    """One draw of queries and gallery.

    Attributes:
        query: (Q,) int64 positions in the list of test images.
        gallery: (G,) positions, each once, in the order by which equal distances go.
        query_keys, gallery_keys: (Q,) and (G,) int64, or both None: a gallery image whose key equals
            the query's is left out for that query.

    Raises:
        UserError: of an attribute, no whole numbers in one dimension, a negative position, an image twice in
            the gallery, another number of keys than images, or keys on one side only; a query that finds
            itself in the gallery.
    """

    query: np.ndarray
    gallery: np.ndarray
    query_keys: np.ndarray | None = None
    gallery_keys: np.ndarray | None = None

    def __post_init__(self) -> None:
        if (self.query_keys is None) != (self.gallery_keys is None):
            raise UserError("query_keys and gallery_keys: give both or neither")
        for name in ("query", "gallery"):
            positions = whole_numbers(getattr(self, name), f"a trial's {name}")
            if positions.size and positions.min() < 0:
                raise UserError(f"a trial's {name} has position {positions.min()}; expected 0 or more")
            object.__setattr__(self, name, positions)
            keys = getattr(self, f"{name}_keys")
            if keys is None:
                continue
            keys = whole_numbers(keys, f"a trial's {name}_keys")
            if len(keys) != len(positions):
                raise UserError(f"a trial has {len(positions)} {name} images and {len(keys)} {name}_keys")
            object.__setattr__(self, f"{name}_keys", keys)
        if len(np.unique(self.gallery)) != len(self.gallery):
            raise UserError("a trial's gallery holds an image twice")
        self._refuse_own_image()

    def _refuse_own_image(self) -> None:
        if not len(self.gallery):
            return
        order = np.argsort(self.gallery)
        place = order[np.searchsorted(self.gallery, self.query, sorter=order).clip(max=len(order) - 1)]
        found = self.gallery[place] == self.query
        if self.query_keys is not None and self.gallery_keys is not None:
            found &= self.query_keys != self.gallery_keys[place]
        if found.any():
            raise UserError(
                f"a trial's gallery holds {int(found.sum())} of its queries, such as position "
                f"{self.query[found][0]}: each would find itself. Take them out, or give both equal keys"
            )

    def matched(self, pids: np.ndarray) -> np.ndarray:
        """(Q,) bool, whether a query has a gallery image of its identity that is not left out.

        Args:
            pids: (N,) identities of the test images.
        """
        count = _partners(pids[self.query], pids[self.gallery])
        if self.query_keys is not None and self.gallery_keys is not None:
            sides = (pids[self.query], self.query_keys), (pids[self.gallery], self.gallery_keys)
            _, codes = np.unique(np.hstack(sides), axis=1, return_inverse=True)
            count -= _partners(*np.split(codes.ravel(), [len(self.query)]))
        return count > 0

    def exclude(self) -> np.ndarray | None:
        """(Q, G) bool, True where the keys are equal; None without keys."""
        if self.query_keys is None or self.gallery_keys is None:
            return None
        return self.query_keys[:, None] == self.gallery_keys[None, :]


def _partners(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """(Q,) how many of (G,) values equal each of (Q,) others."""
    ordered = np.sort(gallery)
    return np.searchsorted(ordered, query, "right") - np.searchsorted(ordered, query, "left")


@dataclass(frozen=True, eq=False)
class Setting:
    """One row of a results table: trials whose figures are averaged.

    Attributes:
        name: as in the table, such as "all-search single-shot".
        trials: at least one.
        unique_pids: whether the CMC counts each identity once, at its best rank.
        direction: "i2v" where infrared images are the queries, "v2i" where visible ones are.
        draw: how the images of each trial are chosen, in words.
        mixed: percent of gallery images that are of the queries' own modality; None where no gallery is meant
            to hold any, as in every published setting.

    Raises:
        UserError: no name, no trial, or something else among the trials; no percent.
    """

    name: str
    trials: tuple[Trial, ...]
    unique_pids: bool
    direction: str
    draw: str = "all images"
    mixed: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise UserError(f"a setting's name is {self.name!r}; expected text")
        trials = tuple(self.trials) if isinstance(self.trials, list | tuple) else ()
        if not trials or not all(isinstance(trial, Trial) for trial in trials):
            raise UserError(f'setting "{self.name}": its trials are no tuple of one or more Trial')
        object.__setattr__(self, "trials", trials)
        if not isinstance(self.unique_pids, bool | np.bool_):
            raise UserError(
                f'setting "{self.name}": unique_pids is {self.unique_pids!r}; expected True or False'
            )
        if self.mixed is not None and not (is_integer(self.mixed) and 0 <= self.mixed <= 100):
            raise UserError(f'setting "{self.name}": mixed is {self.mixed!r}; expected a percent or None')
