"""Files of DATALOADER.CACHE, damaged: made anew in one line, or mended; the images are the same."""

import random
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from cases import Tally, attempt, damaged
from PIL import Image

from vireid.data import cache, resized_images
from vireid.data.resized_images import ImageList

SIZE = (16, 8)
IMAGES = 12
SHARE_OF_NOTHING = 0.05  # of the cases: the file is removed


def fuzz(cases: int, seed: int, folder: Path) -> Tally:
    """Damage a cache that holds all images, and read them."""
    tally, draw = Tally(), random.Random(seed)
    paths = [str(folder / f"{number}.png") for number in range(IMAGES)]
    for number, path in enumerate(paths):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    expected = torch.stack(list(ImageList(paths, SIZE)))
    place = folder / "kept"
    read(paths, place, expected)
    (path,) = place.glob("*.images")
    content = path.read_bytes()
    for _ in range(cases):
        if draw.random() < SHARE_OF_NOTHING:
            how = "removed"
            path.unlink()
        else:
            how, changed = damaged(content, draw)
            path.write_bytes(changed)
        attempt(tally, how, partial(read, paths, place, expected))
    return tally


def read(paths: list[str], place: Path, expected: torch.Tensor) -> None:
    """Read all images twice: those that were missing are in the cache the second time."""
    for held in (0, len(paths)):
        resized_images._open.clear()  # as in a new process
        with patch.object(cache.logger, "warning") as warning:
            images = ImageList(paths, SIZE, cache=str(place))
        said = [call.args[0] % call.args[1:] for call in warning.call_args_list]
        assert len(said) <= 1 and not any("\n" in line for line in said), f"it says {said}"
        assert images.cache is not None and len(images.cache) >= held, "images are not kept"
        assert torch.equal(torch.stack(list(images)), expected), "other images"
