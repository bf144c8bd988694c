"""The persons of a dataset: drawn from the seed, then changed as the conditions say."""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

import numpy as np

from synthvi.conditions import Conditions
from synthvi.persons.lookalikes import SAME_BUILD, in_garments_of, pair_up, with_build_of
from synthvi.persons.person import Identity, person_of

_FIRST_STRANGER = 1_000_000  # above every identity of a dataset


class People:
    """Gives each person by number.

    Args:
        seed: of the dataset.
        splits: (N,) int identities of each split; a pair of lookalikes is within one.
        conditions: of the dataset.
    """

    def __init__(self, seed: int, splits: Iterable[np.ndarray], conditions: Conditions) -> None:
        self.seed, self.conditions = seed, conditions
        rng = np.random.default_rng([seed, 22])
        self.pairs = pair_up(splits, conditions.same_build, conditions.same_garments, rng)
        self.person = lru_cache(maxsize=64)(self._person)
        self.stranger = lru_cache(maxsize=None)(self._stranger)

    def _person(self, pid: int) -> Identity:
        """The person with the number ``pid``, as in every sighting."""
        person = person_of(self.seed, pid)
        if pid in self.pairs:
            first, kind = self.pairs[pid]
            change = with_build_of if kind == SAME_BUILD else in_garments_of
            person = change(person, person_of(self.seed, first))
        return self._dressed(person)

    def _stranger(self, number: int) -> Identity:
        """A person who is in no dataset, from 0."""
        return self._dressed(person_of(self.seed, _FIRST_STRANGER + number))

    def _dressed(self, person: Identity) -> Identity:
        return replace(person, materials=person.materials.muted()) if self.conditions.muted else person
