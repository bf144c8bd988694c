"""Vectors like the embeddings of persons, for galleries larger than any public one.

Uniform random vectors have no near neighbours, and say nothing of an approximate search. The rule here:

- 20 images a person. A person's center is normal, with variances 1/k in a random rotation of the axes. An
  image is its center, plus the mean of its modality (a quarter as long), plus noise with variances 1/sqrt(k),
  0.9 times as long as the center for a visible image and 1.6 times for an infrared one. Then it is
  normalized.
- So the cosine of two visible images of a person is 0.56 on average, of an infrared and a visible one 0.36,
  and of two persons 0.0 with a standard deviation of 0.1. Of the AGW baseline, trained for nine short epochs
  on SynthVI (256 numbers), they are 0.48, 0.20, and 0.05 or 0.02 with deviations of 0.18 and 0.14.
- The gallery is visible, the queries are infrared.
"""

from collections.abc import Iterator

import numpy as np

DIMENSION, PER_PERSON = 512, 20


def blocks(count: int, size: int = 50_000) -> Iterator[np.ndarray]:
    """The vectors of ``count`` gallery images, by the rule above."""
    rule = Rule(count)
    for first in range(0, count, size):
        yield rule.images(np.arange(first, min(first + size, count)) % rule.persons, 0, 0.9, seed=first)


def queries(count: int, number: int) -> np.ndarray:
    """``number`` infrared images of persons of a gallery of ``count``."""
    rule = Rule(count)
    chosen = queried_persons(count, number)
    return rule.images(chosen, 1, 1.6, seed=count)


def queried_persons(count: int, number: int) -> np.ndarray:
    """(number,) persons of ``queries``; image n of the gallery shows person n modulo count / PER_PERSON."""
    return np.random.default_rng(1).integers(0, max(1, count // PER_PERSON), number)


class Rule:
    """Draws images of persons; see the top of this file."""

    def __init__(self, count: int) -> None:
        self.persons = max(1, count // PER_PERSON)
        generator = np.random.default_rng(0)
        ranks = np.arange(1, DIMENSION + 1)
        self.between, self.within = (
            (spread / np.linalg.norm(spread)).astype(np.float32) for spread in (ranks**-0.5, ranks**-0.25)
        )
        self.rotation = np.linalg.qr(generator.standard_normal((DIMENSION, DIMENSION)))[0].astype(np.float32)
        self.means = 0.25 * generator.standard_normal((2, DIMENSION)).astype(np.float32) * self.between
        self.centers = generator.standard_normal((self.persons, DIMENSION), dtype=np.float32) * self.between

    def images(self, persons: np.ndarray, modality: int, noise: float, seed: int) -> np.ndarray:
        """(n, DIMENSION) float32 of unit length."""
        generator = np.random.default_rng((2, seed))
        drawn = generator.standard_normal((len(persons), DIMENSION), dtype=np.float32) * self.within
        found = self.centers[persons] + self.means[modality] + noise * drawn
        return found / np.linalg.norm(found, axis=1, keepdims=True) @ self.rotation
