"""How far an embedding is, and what it has seen."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from vireid.inference.inputs import AnyImage, Ready, image_name
from vireid.modality import Modality

logger = logging.getLogger("fastreid.vireid.inference")

LONGEST_WAIT = 30.0  # seconds between two lines of progress where there is no terminal
# So many embeddings of a mean cosine above this are nearly equal, and scores that differ by less than SAME.
SEVERAL, ALIKE, SAME = 5, 0.999, 1e-4


@dataclass
class Counts:
    """What a call has embedded so far.

    Attributes:
        found: number of images by modality.
        contradictions: by the modality that was said, how many look like the other one, and the first.
        total: (D,) the sum of the embeddings.
    """

    found: dict[Modality, int] = field(default_factory=lambda: {Modality.VISIBLE: 0, Modality.INFRARED: 0})
    contradictions: dict[Modality, tuple[int, str]] = field(default_factory=dict)
    total: np.ndarray = field(default_factory=lambda: np.zeros(1))

    def add(self, image: AnyImage, ready: Ready, vector: np.ndarray) -> None:
        """Count an image and its embedding."""
        self.found[ready.modality] += 1
        self.total = self.total + vector
        if ready.contradiction:
            count, first = self.contradictions.get(ready.modality, (0, image_name(image)))
            self.contradictions[ready.modality] = count + 1, first

    def log(self) -> None:
        """Say what was found; warn of images that look like the other modality, and of equal embeddings."""
        visible, infrared = self.found[Modality.VISIBLE], self.found[Modality.INFRARED]
        count = visible + infrared
        logger.info("embedded %d images: %d visible, %d infrared", count, visible, infrared)
        cosine = (float(self.total @ self.total) - count) / max(1, count * (count - 1))
        if count >= SEVERAL and cosine > ALIKE:
            logger.warning(
                "the embeddings of %d images are nearly equal (mean cosine %.4f): is the model trained?",
                count,
                cosine,
            )
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


def warn_of_equal_scores(scores: Sequence[float]) -> None:
    """Warn where several scores of a search, best first, say nothing of the order of the images."""
    if len(scores) >= SEVERAL and scores[0] - scores[-1] < SAME:
        logger.warning(
            "the scores of %d found images differ by less than %g: their order says nothing",
            len(scores),
            SAME,
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
