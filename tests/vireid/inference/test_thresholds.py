"""Thresholds of a store beside plain loops, and who is nobody."""

import numpy as np
import pytest
from PIL import Image

from galleries import MeanColors, mean_colors, person_vectors
from vireid import Gallery
from vireid.errors import StoreError, UserError
from vireid.inference.embedder import Embedder
from vireid.inference.records import Entry, Where
from vireid.inference.thresholds import find_threshold, kept, measure_thresholds

PERSONS = 24


def known_images(count=10 * PERSONS):
    """Ten images of each person: three cameras, of which camera 2 is infrared; one image in 17 is unknown."""
    entries = [
        Entry(
            f"/{n:04d}.jpg",
            str(n // 10) if n % 17 else None,
            str(n % 3),
            None,
            "infrared" if n % 3 == 2 else "visible",
            track=f"t{n // 5}",
        )
        for n in range(count)
    ]
    return entries, person_vectors(count, 16)


def plain_rates(images, kind, of, threshold):
    """(false alarms, detected, persons) of a threshold."""
    entries, vectors = images
    gallery = [n for n, e in enumerate(entries) if e.identity and of in ("any", e.modality)]
    alarms, detected, persons = [], [], set()
    for query, entry in enumerate(entries):
        if not entry.identity or entry.modality != kind:
            continue
        scores = {n: float(vectors[query] @ vectors[n]) for n in gallery}
        others = {n: score for n, score in scores.items() if entries[n].identity != entry.identity}
        alarms.append(max(others.values()) > threshold)
        persons.add(entry.identity)
        allowed = dict(others)
        for n in gallery:
            apart = entries[n].camera != entry.camera and entries[n].track != entry.track
            if entries[n].identity == entry.identity and apart:
                allowed[n] = scores[n]
        if len(allowed) > len(others):
            first = max(allowed, key=allowed.get)
            detected.append(entries[first].identity == entry.identity and allowed[first] > threshold)
    return np.mean(alarms), np.mean(detected), len(persons)


def test_thresholds_are_those_of_plain_loops():
    images = known_images()
    found = measure_thresholds(images, images, None)
    assert {(one.query, one.of) for one in found} == {
        (kind, of) for kind in ("visible", "infrared") for of in ("any", "visible", "infrared")
    } - {("infrared", "infrared")}  # one camera: nobody is seen by another one
    assert {one.asked for one in found} == {0.05, 0.1}  # 1 % needs 100 persons
    for one in found:
        alarms, detected, persons = plain_rates(images, one.query, one.of, one.score + 1e-6)
        assert (one.false_alarms, one.detected, one.persons) == pytest.approx((alarms, detected, persons))
        assert one.false_alarms <= one.asked < plain_rates(images, one.query, one.of, one.score - 1e-6)[0]


@pytest.mark.parametrize(
    ("images", "rates", "said"),
    [
        (known_images(), [0.01, 0.1], "a false alarm rate of 1 % needs 100 known persons, .* there are 24"),
        (known_images(50), None, "a false alarm rate of 10 % needs 10 known persons, .* there are 5"),
        (known_images(), [2.0], "a false alarm rate is 2.0; expected one above 0"),
        (known_images(1), None, "a calibration needs persons of whom there are two images"),
        (([Entry("/a.jpg", "1"), Entry("/b.jpg", "1")], person_vectors(2, 16)), None, "there are 0"),
    ],
)
def test_too_few_persons_are_one_line(images, rates, said):
    with pytest.raises(UserError, match=said) as error:
        measure_thresholds(images, images, rates)
    assert "\n" not in str(error.value)


def test_a_threshold_of_another_model_or_rate_is_refused():
    images = known_images()
    calibration = kept("one", measure_thresholds(images, images, [0.1, 0.2]), {})
    assert find_threshold(calibration, "one", "visible", None, None).asked == 0.1  # 5 % is not there
    assert find_threshold(calibration, "one", "infrared", "infrared", None) is None
    assert find_threshold({}, "one", "infrared", "infrared", None) is None
    with pytest.raises(StoreError, match="thresholds are of the model of fingerprint one, and its images of"):
        find_threshold(calibration, "other", "visible", None, None)
    with pytest.raises(StoreError, match=r"false alarm rate of 5 % of visible .*\(known: 10 %, 20 %\)"):
        find_threshold(calibration, "one", "visible", None, 0.05)
    with pytest.raises(StoreError, match=r"\(known: none\); `vireid search calibrate` measures it"):
        find_threshold({}, "one", "visible", "visible", 0.05)


@pytest.fixture
def calibrated(tmp_path):
    """Twelve persons, each of one color before two cameras; and the gallery."""
    rng = np.random.default_rng(3)
    for person in range(12):
        color = rng.integers(0, 256, (4, 2, 3)).repeat(4, 0).repeat(4, 1)
        for camera in (1, 2):
            path = tmp_path / "photos" / f"cam{camera}" / f"{person + 1:04d}" / "a.png"
            path.parent.mkdir(parents=True)
            grain = rng.integers(-3, 4, color.shape)
            Image.fromarray(np.clip(color + grain, 0, 255).astype(np.uint8)).save(path)
    with Gallery.open(tmp_path / "store", mean_colors()) as gallery:
        gallery.index(tmp_path / "photos", modality="visible")
        yield gallery


def test_a_store_says_who_is_nobody(calibrated, tmp_path):
    person = tmp_path / "photos/cam1/0003/a.png"
    assert {match.nobody for match in calibrated.search(person, 24)} == {None}
    with pytest.raises(StoreError, match="the store has no threshold for a false alarm rate of 10 %"):
        calibrated.search(person, false_alarms=0.1)
    threshold = {one.of: one for one in calibrated.calibrate()}["any"]
    assert (threshold.asked, threshold.persons, threshold.detected) == (0.1, 12, 1)
    with calibrated.store.writing():  # written anew
        calibrated.store.delete(Where(identities=("0012",)))
        calibrated.store.optimize()
    with Gallery.open(tmp_path / "store", mean_colors()) as again:
        found = again.search(person, 24)
        assert [match.nobody for match in found] == [match.score <= threshold.score for match in found]
        assert [match.identity for match in found if not match.nobody][:2] == ["0003", "0003"]
        strangers = np.random.default_rng(8).integers(0, 256, (10, 4, 4, 3), dtype=np.uint8)
        answers = [
            again.answer(one, 1, modality="visible", false_alarms=0.1) for one in strangers.repeat(4, 1)
        ]
        assert {answer.threshold for answer in answers} == {threshold}
        assert sum(answer.matches[0].nobody for answer in answers) >= 5


def test_queries_of_another_store(calibrated, tmp_path):
    with Gallery.open(tmp_path / "other", mean_colors()) as other:
        other.index(tmp_path / "photos/cam2", modality="infrared")
        calibrated.calibrate()
        found = calibrated.calibrate([0.1], other)
        assert {(one.query, one.of) for one in found} == {("infrared", "any"), ("infrared", "visible")}
        for modality in ("infrared", "visible"):  # those of the visible queries stay
            assert calibrated.answer(tmp_path / "photos/cam1/0003/a.png", modality=modality).threshold

    class Second(MeanColors):
        name, fingerprint = "another", "f" * 16

    with Gallery.open(tmp_path / "second", Embedder(Second(), threads=1)) as other:
        other.index(tmp_path / "photos/cam2")
        with pytest.raises(StoreError, match=r"the gallery of the queries holds embeddings of another"):
            calibrated.calibrate([0.1], other)
