"""Lookalikes, and a person at another moment."""

from dataclasses import replace

import numpy as np
import pytest

from synthvi import Conditions
from synthvi.camera import sample_camera
from synthvi.persons.lookalikes import SAME_BUILD, SAME_GARMENTS, pair_up
from synthvi.persons.materials import Part
from synthvi.persons.people import People
from synthvi.persons.person import BAGS, person_of
from synthvi.sighting import at_other_moment, draw_sighting, other_carrying

SPLITS = (np.arange(1, 41), np.arange(41, 61))
GARMENTS = (
    ["top", "sleeve", "raglan", "top_length", "logo", "logo_place", "logo_size", "coat", "coat_length"]
    + ["coat_opening", "coat_pattern", "bottom", "bottom_pattern", "bottom_length", "flare", "boots"]
    + ["scarf", "hat"]
)
BODY_PARTS = [Part.SKIN, Part.HAIR, Part.EYES]
BAG_PARTS = [Part.BAG, Part.BAG_FLAP, Part.STRAP]
CLOTH = [part for part in Part if part not in BODY_PARTS + BAG_PARTS]


@pytest.fixture(scope="module")
def people():
    return People(3, SPLITS, Conditions(same_build=0.3, same_garments=0.4))


def pairs_of(people, kind):
    return [
        (people.person(first), people.person(second), second)
        for second, (first, found) in people.pairs.items()
        if found == kind
    ]


def test_pairs_are_within_a_split_and_no_identity_is_in_two():
    pairs = pair_up(SPLITS, 0.3, 0.4, np.random.default_rng(0))
    seen = [pid for second, (first, _) in pairs.items() for pid in (first, second)]
    assert len(seen) == len(set(seen))
    for pids in SPLITS:
        inside = {second: pair for second, pair in pairs.items() if second in pids}
        assert all(first in pids for first, _ in inside.values())
        kinds = [kind for _, kind in inside.values()]
        assert kinds.count(SAME_BUILD) == 0.3 * len(pids) / 2
        assert kinds.count(SAME_GARMENTS) == 0.4 * len(pids) / 2


def test_the_same_build_wears_its_own_garments(people):
    pairs = pairs_of(people, SAME_BUILD)
    assert len(pairs) == 9
    for first, second, pid in pairs:
        own = person_of(3, pid)
        assert second.body == first.body and second.hair == first.hair
        assert replace(second.gait, loaded=0) == replace(first.gait, loaded=0)
        assert (second.materials.visible[BODY_PARTS] == first.materials.visible[BODY_PARTS]).all()
        assert all(getattr(second, name) == getattr(own, name) for name in [*GARMENTS, "bag"])
        assert (second.materials.visible[CLOTH] == own.materials.visible[CLOTH]).all()
        assert (second.materials.infrared[CLOTH] == own.materials.infrared[CLOTH]).all()


def test_the_same_garments_are_on_another_build(people):
    pairs = pairs_of(people, SAME_GARMENTS)
    assert len(pairs) == 12
    for first, second, pid in pairs:
        own = person_of(3, pid)
        assert all(getattr(second, name) == getattr(first, name) for name in GARMENTS)
        assert (second.materials.visible[CLOTH] == first.materials.visible[CLOTH]).all()
        assert (second.materials.infrared[CLOTH] == first.materials.infrared[CLOTH]).all()
        assert abs(second.body.shoulder / first.body.shoulder - 1) >= 0.12
        assert (second.hair, second.bag, second.gait) == (own.hair, own.bag, own.gait)
        assert (second.materials.visible[BAG_PARTS] == own.materials.visible[BAG_PARTS]).all()


def test_without_lookalikes_a_person_is_that_of_the_seed():
    people = People(3, SPLITS, Conditions())
    for pid in (1, 17, 60):
        assert repr(people.person(pid)) == repr(person_of(3, pid))


def test_strangers_are_in_no_dataset(people):
    known = {repr(person_of(3, pid).body) for pid in range(1, 62)}
    assert not known & {repr(people.stranger(number).body) for number in range(20)}


def test_at_another_moment_the_person_is_the_same():
    moved = {"gait", "bag", "coat_opening", "hat"}
    seen = set()
    for pid in range(1, 60):
        person = person_of(0, pid)
        later = at_other_moment(person, np.random.default_rng(pid))
        changed = {name for name in vars(person) if repr(vars(person)[name]) != repr(vars(later)[name])}
        assert changed <= moved
        assert later.hat == person.hat or (person.hat, later.hat) == ("hood", "none")
        assert (later.bag == "none") == (person.bag == "none")
        assert later.gait.loaded == {"handbag_left": 1, "handbag_right": -1}.get(later.bag, 0)
        seen |= changed
    assert seen == moved


@pytest.mark.parametrize("bag", BAGS)
def test_a_bag_is_carried_in_ways_that_fit_it(bag):
    rng = np.random.default_rng(0)
    found = {other_carrying(bag, rng) for _ in range(300)}
    expected = {
        "none": {"none"},
        "backpack": {"backpack", "tote_left", "tote_right"},
        "tote": {"tote_left", "tote_right", "handbag_left", "handbag_right"},
        "cross": {"cross_left", "cross_right"},
        "handbag": {"handbag_left", "handbag_right"},
    }
    assert found == expected[bag.partition("_")[0]]


def test_low_light_is_shared_by_a_sighting_and_has_its_modality_limits():
    conditions = Conditions(low_light=0.5, visible_light=(0.1, 0.3), infrared_light=(0.6, 0.8))
    person = person_of(0, 1)
    for infrared, (low, high) in ((False, (0.1, 0.3)), (True, (0.6, 0.8))):
        camera = sample_camera(np.random.default_rng(0), infrared, 1, True)
        lights = [
            draw_sighting(person, camera, conditions, np.random.default_rng(seed)).light
            for seed in range(300)
        ]
        dark = [light for light in lights if light < 1]
        assert len(dark) / len(lights) == pytest.approx(0.5, abs=0.1)
        assert low <= min(dark) and max(dark) <= high
