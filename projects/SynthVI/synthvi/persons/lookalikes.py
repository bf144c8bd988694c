"""Pairs of identities that look alike: the same build in other garments, or the reverse."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from synthvi.persons.materials import Part
from synthvi.persons.person import Body, Identity

SAME_BUILD, SAME_GARMENTS = "same build", "same garments"
_OWN_PARTS = [Part.SKIN, Part.HAIR, Part.EYES]
_OWN_BAG = [Part.BAG, Part.BAG_FLAP, Part.STRAP]
_LEAST_DIFFERENCE = 0.12  # of the builds in the same garments, relative


def pair_up(
    splits: Iterable[np.ndarray], same_build: float, same_garments: float, rng: np.random.Generator
) -> dict[int, tuple[int, str]]:
    """Draw the pairs. Both identities of a pair are in the same split.

    Args:
        splits: (N,) int identities of each split.
        same_build, same_garments: shares of the identities of a split in pairs of each kind; rounded
            down to whole pairs.

    Returns:
        For the second identity of each pair: the first one, and the kind of the pair.
    """
    pairs = {}
    for pids in splits:
        order = rng.permutation(np.sort(pids)).tolist()
        for kind, share in ((SAME_BUILD, same_build), (SAME_GARMENTS, same_garments)):
            for _ in range(int(share * len(pids) / 2 + 1e-9)):
                first, second = order.pop(), order.pop()
                pairs[second] = (first, kind)
    return pairs


def with_build_of(person: Identity, other: Identity) -> Identity:
    """The person with another one's body, gait, skin and hair, in the person's own garments."""
    return replace(
        person,
        body=other.body,
        gait=replace(other.gait, loaded=person.gait.loaded),
        hair=other.hair,
        materials=person.materials.with_parts(other.materials, _OWN_PARTS),
    )


def in_garments_of(person: Identity, other: Identity) -> Identity:
    """The person in another one's garments; body, gait, skin, hair, glasses and bag stay.

    Where both builds are alike, the person's is made wider or narrower.
    """
    return replace(
        other,
        body=unlike(person.body, other.body),
        gait=person.gait,
        gender=person.gender,
        facing=person.facing,
        hair=person.hair,
        glasses=person.glasses,
        bag=person.bag,
        bag_size=person.bag_size,
        materials=other.materials.with_parts(person.materials, _OWN_PARTS + _OWN_BAG),
    )


def unlike(body: Body, other: Body) -> Body:
    """A body whose shoulders differ from another's by an eighth or so, or more."""
    ratio = body.shoulder / other.shoulder
    if abs(ratio - 1) >= _LEAST_DIFFERENCE:
        return body
    factor = (1 + 1.5 * _LEAST_DIFFERENCE if ratio >= 1 else 1 - 1.5 * _LEAST_DIFFERENCE) / ratio
    return replace(
        body,
        shoulder=body.shoulder * factor,
        waist=body.waist * factor,
        hip=body.hip * factor,
        limb=body.limb * factor**0.8,
        thigh=body.thigh * factor**0.8,
    )
