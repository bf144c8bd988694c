"""Above which score a first answer is the person: measured on a store's images of known persons.

Each image is a query twice. Without its person's images, the gallery has somebody else's alone, and the first
answer is a false alarm where its score is above the threshold. With the images of other cameras, it is to be
found. A threshold holds for queries of one modality among images of one modality, or of any.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vireid.errors import StoreError, UserError
from vireid.inference.inputs import MODALITIES
from vireid.inference.records import Entry

ANY = "any"
USUAL = 0.05  # the rate of false alarms, where none is asked for
MOST, BLOCK = 5_000, 256  # queries of one modality, drawn by a fixed seed; that are scored at once
Images = tuple[list[Entry], np.ndarray]  # with (N, D) vectors


@dataclass(frozen=True)
class Threshold:
    """What was measured for a rate of false alarms; rates in 0..1.

    Attributes:
        query, of: modality of the queries, and of the gallery's images: "visible", "infrared", or "any".
        asked: the rate of false alarms that was asked for.
        score: what is above it is an answer.
        false_alarms, detected: see ``vireid.evaluation.open_set.OperatingPoint``.
        persons: of whom there were queries.
    """

    query: str
    of: str
    asked: float
    score: float
    false_alarms: float
    detected: float
    persons: int

    def __str__(self) -> str:
        return f"nobody, at a false alarm rate of {100 * self.asked:g} %: not above {self.score:.3f}"


def measure_thresholds(gallery: Images, queries: Images, rates: Sequence[float] | None) -> list[Threshold]:
    """Thresholds for each pair of modalities that allows one.

    Args:
        gallery, queries: images of known persons.
        rates: of false alarms; None: those of FALSE_ALARMS for which there are enough persons.

    Raises:
        UserError: nobody is seen twice, or there are too few persons for a rate: says how many are needed.
    """
    from vireid.evaluation.open_set import FALSE_ALARMS, operating_points, queries_needed

    wanted = rates or FALSE_ALARMS
    needed = {rate: queries_needed(rate) for rate in wanted}
    found, most = [], -1
    for kind in MODALITIES:
        for of in (ANY, *MODALITIES):
            best, right, unknown, persons = _first_answers(gallery, queries, kind, of)
            if not len(best):
                continue
            most = max(most, persons)
            enough = [rate for rate in wanted if needed[rate] <= persons]
            for point in operating_points(best, right, unknown, enough):
                values = (point.asked, point.threshold, point.false_alarms, point.detected)
                found.append(Threshold(kind, of, *values, persons))
    if most < 0:
        raise UserError(
            "a calibration needs persons of whom there are two images, of different cameras where these are "
            "known, and there is none: give the images identities, by a table or by their names"
        )
    least = max(wanted) if rates is None else min(wanted)
    if needed[least] > most:
        raise UserError(
            f"a false alarm rate of {100 * least:g} % needs {needed[least]} known persons, one of whom at a "
            f"time is left out of the gallery; there are {most}: ask for a larger rate, or label more persons"
        )
    return found


def _first_answers(gallery: Images, queries: Images, kind: str, of: str) -> tuple[Any, Any, Any, int]:
    """Scores of right and wrong first answers, whether they are right, scores without the person, persons."""
    images, vectors = _of_known(gallery, of)
    asked, asking = _of_known(queries, kind)
    chosen = sorted(random.Random(0).sample(range(len(asked)), min(MOST, len(asked))))
    paths, persons, cameras, tracks = (
        _names(images, name) for name in ("path", "identity", "camera", "track")
    )
    best, right, unknown, left_out = [], [], [], set()
    for entry, scores in _scores([asked[n] for n in chosen], asking[chosen], vectors):
        own = persons == entry.identity
        if not own.all():
            unknown.append(scores[~own].max())
            left_out.add(entry.identity)
        near = (paths == entry.path) | (own & (tracks == (entry.track or None)))
        near |= own & (cameras == (entry.camera or None))
        if (own & ~near).any():
            first = np.where(near, -np.inf, scores).argmax()
            best.append(scores[first])
            right.append(own[first])
    return np.array(best), np.array(right), np.array(unknown), len(left_out)


def _of_known(images: Images, of: str) -> Images:
    entries, vectors = images
    rows = [n for n, entry in enumerate(entries) if entry.identity and of in (ANY, entry.modality)]
    return [entries[n] for n in rows], vectors[rows]


def _names(entries: Sequence[Entry], name: str) -> np.ndarray:
    return np.array([getattr(entry, name) or "" for entry in entries], dtype=object)


def _scores(
    asked: Sequence[Entry], asking: np.ndarray, vectors: np.ndarray
) -> Iterator[tuple[Entry, np.ndarray]]:
    for start in range(0, len(asked) if len(vectors) else 0, BLOCK):
        yield from zip(asked[start : start + BLOCK], asking[start : start + BLOCK] @ vectors.T)


def kept(fingerprint: str, found: Sequence[Threshold], before: dict[str, Any]) -> dict[str, Any]:
    """What a store keeps of thresholds, which hold for the model of this fingerprint alone.

    Args:
        before: what it has; its thresholds for other modalities stay.
    """
    new = {(one.query, one.of) for one in found}
    own = before.get("thresholds", ()) if before.get("fingerprint") == fingerprint else ()
    others = [values for values in own if (values["query"], values["of"]) not in new]
    return {"fingerprint": fingerprint, "thresholds": [*others, *map(asdict, found)]}


def find_threshold(
    calibration: dict[str, Any], fingerprint: str, query: str, of: str | None, rate: float | None
) -> Threshold | None:
    """The threshold for a query; None where the store has none and no rate is asked for.

    Args:
        calibration: what the store keeps.
        fingerprint: of its model.
        query: the query's modality.
        of: that of the images that are searched; None: any.
        rate: of false alarms; None: USUAL, or else the smallest one that there is.

    Raises:
        StoreError: the thresholds are another model's, or there is none for the rate.
    """
    if not isinstance(rate, int | float | None):
        raise UserError(f"a false alarm rate is {rate!r}; expected a number, such as 0.05")
    how = "`vireid search calibrate` measures it"
    if calibration and calibration["fingerprint"] != fingerprint:
        raise StoreError(
            f"the store's thresholds are of the model of fingerprint {calibration['fingerprint']}, and its "
            f"images of that of {fingerprint}: they cannot be compared; {how} anew"
        )
    every = [Threshold(**values) for values in calibration.get("thresholds", ())]
    fitting = {one.asked: one for one in every if (one.query, one.of) == (query, of or ANY)}
    if rate is None:
        return fitting.get(USUAL) or (fitting[min(fitting)] if fitting else None)
    if rate not in fitting:
        among = f"{query} queries among {of + ' images' if of else 'all images'}"
        known = ", ".join(f"{100 * asked:g} %" for asked in sorted(fitting)) or "none"
        raise StoreError(
            f"the store has no threshold for a false alarm rate of {100 * rate:g} % of {among} (known: "
            f"{known}); {how}: --false-alarms {rate:g}"
        )
    return fitting[rate]
