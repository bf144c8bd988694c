"""Gallery stores, damaged: opening or searching one is refused, or finds images as they were written."""

import random
import shutil
from functools import partial
from pathlib import Path

from cases import Tally, attempt, damaged

from galleries import person_vectors, some_entries
from vireid.inference.records import About, Match, Where
from vireid.inference.stores import open_store

ABOUT = About("0123456789abcdef", 16, "a model")
IMAGES = 80
VECTORS = person_vectors(IMAGES, 16)
CONDITIONS = (Where(), Where(cameras=("1",)), Where(identities=("2",)), Where(modalities=("infrared",)))
SHARE_OF_NOTHING = 0.05  # of the cases: a file is removed


def fuzz(cases: int, seed: int, folder: Path) -> Tally:
    """Damage a file of a store, open it, and search."""
    tally, draw = Tally(), random.Random(seed)
    kinds = []
    for name, exact_up_to in (("exact", 1000), ("approximate", 20)):
        store = open_store(folder / name, ABOUT, create=True, exact_up_to=exact_up_to)
        with store.writing():
            store.add(some_entries(0, IMAGES - 5), VECTORS[:-5])
            store.add(some_entries(IMAGES - 5, IMAGES), VECTORS[-5:])
            store.optimize()
        kinds.append(folder / name)
        store.close()
    for number in range(cases):
        original = draw.choice(kinds)
        copy = shutil.copytree(original, folder / f"{number}")
        path = draw.choice(sorted(f for f in copy.rglob("*") if f.is_file() and f.stat().st_size))
        if draw.random() < SHARE_OF_NOTHING:
            how = "removed"
            path.unlink()
        else:
            how, content = damaged(path.read_bytes(), draw)
            path.write_bytes(content)
        attempt(tally, f"{original.name} {path.name}: {how}", partial(search, copy))
        shutil.rmtree(copy)
    return tally


def search(folder: Path) -> None:
    """Open and search it: a match has the score and the names of its image, and meets the condition."""
    store = open_store(folder, ABOUT)
    known = {entry.path: (entry, vector) for entry, vector in zip(some_entries(0, IMAGES), VECTORS)}
    queries = VECTORS[::9]
    for where in CONDITIONS:
        for query, matches in zip(queries, store.search(queries, 3, where), strict=True):
            scores = [match.score for match in matches]
            assert scores == sorted(scores, reverse=True), "the best is not first"
            for match in matches:
                entry, vector = known[match.path]
                assert match == Match.of(entry, match.score), f"another {match.path}"
                assert abs(match.score - float(vector @ query)) < 1e-5, f"another score of {match.path}"
                for name, values in where.names().items():
                    assert getattr(entry, name) in values, f"{match.path} is of another {name}"
    assert len(store) <= IMAGES, f"{len(store)} images"
    store.close()
