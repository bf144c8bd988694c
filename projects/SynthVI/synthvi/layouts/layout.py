"""The layouts by name, and the plan of a dataset from numbers of identities and images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synthvi.layouts.hitsz_vcm import plan_hitsz_vcm
from synthvi.layouts.llcm import plan_llcm
from synthvi.layouts.market1501 import plan_market1501
from synthvi.layouts.plan import Draw, Plan
from synthvi.layouts.regdb import plan_regdb
from synthvi.layouts.sysu_mm01 import plan_sysu_mm01
from vireid.errors import UserError


@dataclass(frozen=True)
class Layout:
    """A layout and the figures of the real dataset, which the defaults follow.

    Attributes:
        folder: its folder below $FASTREID_DATASETS.
        real_test, real_total: identities of the real dataset.
        minimum: identities; with fewer, a split would be empty.
        most: identities; the toolkit's reader of the layout takes no more.
        least_images: per person and camera; with fewer, a list would be empty.
        plan: makes the plan from training and test identities, images, seed and generators.
    """

    folder: str
    real_test: int
    real_total: int
    minimum: int
    plan: Callable[[np.ndarray, np.ndarray, int, int, Draw], Plan]
    most: int = 9999
    least_images: int = 1


LAYOUTS = {
    "sysu": Layout("SYSU-MM01", 96, 491, 3, plan_sysu_mm01),
    "regdb": Layout("RegDB", 206, 412, 2, plan_regdb),
    "llcm": Layout("LLCM", 351, 1064, 2, plan_llcm),
    "vcm": Layout("HITSZ-VCM", 427, 927, 2, plan_hitsz_vcm),
    "market": Layout("Market-1501-v15.09.15", 750, 1501, 2, plan_market1501, most=1501, least_images=2),
}


def make_plan(
    layout: str, identities: int, images: int, seed: int, test_identities: int | None = None
) -> Plan:
    """What to render for a layout.

    Which identities are for testing is drawn at random: their numbers are no contiguous range.

    Args:
        layout: a key of LAYOUTS.
        identities: persons in all.
        images: per person and camera; for RegDB per person and modality.
        seed: 0 or more.
        test_identities: persons for testing; by default the share of the real dataset.

    Raises:
        UserError: an unknown layout, or a number is too small or too large.
    """
    if layout not in LAYOUTS:
        raise UserError(f"layout is {layout!r}; expected one of {', '.join(LAYOUTS)}")
    real = LAYOUTS[layout]
    if not real.minimum <= identities <= real.most:
        raise UserError(f"identities is {identities}; layout {layout} needs {real.minimum} to {real.most}")
    if not real.least_images <= images <= 999:
        raise UserError(f"images is {images}; layout {layout} needs {real.least_images} to 999")
    if seed < 0:
        raise UserError(f"seed is {seed}; expected 0 or more")
    most = identities - (real.minimum - 1)
    if test_identities is None:
        test_identities = min(max(1, round(identities * real.real_test / real.real_total)), most)
    if not 1 <= test_identities <= most:
        raise UserError(
            f"test_identities is {test_identities}; with {identities} identities expected 1 to {most}"
        )

    draw = generators(seed)
    order = draw("split").permutation(np.arange(1, identities + 1))
    test, train = np.sort(order[:test_identities]), np.sort(order[test_identities:])
    return real.plan(train, test, images, seed, draw)


def generators(seed: int) -> Draw:
    """A function that gives the random generator of a purpose, from the seed and the purpose alone."""
    return lambda purpose: np.random.default_rng([seed, *purpose.encode()])
