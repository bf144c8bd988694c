"""Pictures of a few persons, for drawings that show what a method does to images."""

import tempfile
from pathlib import Path

from PIL import Image

from synthvi.generate import generate_dataset

FEWEST = 12  # persons of a generated dataset, of whom some are shown


def person_pictures(count: int, seed: int, size: tuple[int, int]) -> list[tuple[Image.Image, Image.Image]]:
    """A visible and an infrared picture of each of some persons.

    Args:
        count: of persons.
        seed: same seed, same persons.
        size: height, width.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        identities = max(count, FEWEST)
        generate_dataset("sysu", root, identities=identities, images=1, seed=seed, size=size, progress=False)
        persons = sorted(path.name for path in (root / "cam1").iterdir())[:count]
        return [(_read(root / "cam1" / name), _read(root / "cam3" / name)) for name in persons]


def _read(folder: Path) -> Image.Image:
    with Image.open(folder / "0001.jpg") as image:
        return image.convert("RGB")
