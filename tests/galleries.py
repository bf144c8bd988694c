"""Embedders without a network, and vectors like those of persons, for tests of galleries."""

import datetime

import numpy as np

from vireid.inference.embedder import Embedder
from vireid.inference.network import normalized
from vireid.inference.records import Entry
from vireid.modality import Modality
from vireid.preprocessing import Preprocessing


class MeanColors:
    """Stands in for a network: the mean colors of four quarters of an image, 12 numbers."""

    name, fingerprint, dimension = "mean colors", "0123456789abcdef", 12
    preprocessing = Preprocessing((8, 4))
    modalities = (Modality.VISIBLE, Modality.INFRARED)

    def __call__(self, images, modalities):
        quarters = images.reshape(len(images), 3, 2, 4, 2, 2).mean(axis=(3, 5)).reshape(len(images), 12)
        return (quarters - 100 - modalities[:, None]).astype(np.float32)


def mean_colors(batch_size=4):
    return Embedder(MeanColors(), batch_size=batch_size, threads=2)


def person_vectors(count, dimension, seed=0):
    """(count, dimension) float32 of unit length, ten images a person."""
    generator = np.random.default_rng(seed)
    persons = generator.standard_normal((count // 10 + 1, dimension))
    return normalized(persons[np.arange(count) // 10] + generator.standard_normal((count, dimension)))


def some_entries(first, last):
    """Entries of cameras 0 to 2 and identities 0 to 4, one an hour; some of each are not known."""
    start = datetime.datetime(2026, 1, 1)
    return [
        Entry(
            path=f'/gallery/{number:05d} "it\'s".jpg',
            identity=None if number % 7 == 0 else str(number % 5),
            camera=None if number % 11 == 0 else str(number % 3),
            time=None if number % 13 == 0 else start + datetime.timedelta(hours=number),
            modality="infrared" if number % 2 else "visible",
            stamp=f"{number}-1",
            track=None if number % 5 == 0 else f"t{number // 6}",
        )
        for number in range(first, last)
    ]
