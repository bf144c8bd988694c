"""How far an embedding is, and what it has seen."""

import logging
import os
import sys
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from vireid.inference.inputs import AnyImage, Ready
from vireid.modality import Modality

logger = logging.getLogger("fastreid.vireid.inference")

LONGEST_WAIT = 30.0  # seconds between two lines of progress where there is no terminal


@dataclass
class Counts:
    """What a call has embedded so far.

    Attributes:
        found: number of images by modality.
        contradictions: by the modality that was said, how many look like the other one, and the first.
    """

    found: dict[Modality, int] = field(default_factory=lambda: {Modality.VISIBLE: 0, Modality.INFRARED: 0})
    contradictions: dict[Modality, tuple[int, str]] = field(default_factory=dict)

    def add(self, image: AnyImage, ready: Ready) -> None:
        """Count an image."""
        self.found[ready.modality] += 1
        if ready.contradiction:
            count, first = self.contradictions.get(ready.modality, (0, _name(image)))
            self.contradictions[ready.modality] = count + 1, first

    def log(self) -> None:
        """Say what was found, and warn where many images look like the other modality."""
        visible, infrared = self.found[Modality.VISIBLE], self.found[Modality.INFRARED]
        logger.info("embedded %d images: %d visible, %d infrared", visible + infrared, visible, infrared)
        count, first = self.contradictions.get(Modality.INFRARED, (0, ""))
        if count:
            logger.warning(
                "%d of %d images said to be infrared have color, such as %s: are they visible?",
                count,
                infrared,
                first,
            )
        count, first = self.contradictions.get(Modality.VISIBLE, (0, ""))
        if 2 * count > visible:  # a single visible image may have been taken in the dark
            logger.warning(
                "%d of %d images said to be visible have no color, such as %s: are they infrared?",
                count,
                visible,
                first,
            )


def embedding_bar(total: int, shown: bool | None) -> Any:
    """Images done, images a second and time left: a bar on a terminal, a line now and then in a file.

    Args:
        total: number of images.
        shown: None: only on a terminal.
    """
    on_terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc="embedding",
        unit="img",
        smoothing=0.05,
        leave=False if on_terminal else None,
        mininterval=0.1 if on_terminal else LONGEST_WAIT,
        disable=not (on_terminal if shown is None else shown),
    )


def _name(image: AnyImage) -> str:
    return str(image) if isinstance(image, (str, os.PathLike)) else f"a {type(image).__name__}"
