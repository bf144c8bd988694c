"""Making and reading generated datasets, shared by the tests of SynthVI."""

import numpy as np
from PIL import Image

from synthvi import generate_dataset

SIZE = (64, 32)


def make(layout, folder, identities=4, images=2, seed=3, size=SIZE, workers=1, **options):
    """A small dataset; the report of its generator."""
    return generate_dataset(
        layout,
        folder,
        identities=identities,
        images=images,
        seed=seed,
        size=size,
        workers=workers,
        progress=False,
        **options,
    )


def content(folder):
    """The bytes of every file, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pixels(path):
    """(H, W, 3) uint8 of an image."""
    with Image.open(path) as image:
        return np.asarray(image)


def id_list(path):
    """The identities of a list in one line."""
    lines = path.read_text().splitlines()
    assert len(lines) == 1
    return [int(pid) for pid in lines[0].split(",")]
