"""Gallery stores, damaged: opening or searching one is refused, or finds what the whole store finds."""

import random
import shutil
from functools import partial
from pathlib import Path

from cases import Tally, attempt, damaged
from vireid.inference.store import Store, open_store

from galleries import person_vectors, some_entries
from vireid.inference.records import About, Where

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
        kinds.append((folder / name, answers(store)))
        store.close()
    for number in range(cases):
        original, expected = draw.choice(kinds)
        copy = shutil.copytree(original, folder / f"{number}")
        path = draw.choice(sorted(file for file in copy.iterdir() if file.stat().st_size))
        if draw.random() < SHARE_OF_NOTHING:
            how = "removed"
            path.unlink()
        else:
            how, content = damaged(path.read_bytes(), draw)
            path.write_bytes(content)
        attempt(tally, f"{original.name} {path.name}: {how}", partial(search, copy, expected))
        shutil.rmtree(copy)
    return tally


def search(folder: Path, expected: list[object]) -> None:
    """Open a store and search it."""
    store = open_store(folder, ABOUT)
    try:
        assert len(store) == IMAGES, f"{len(store)} images"
        assert answers(store) == expected, "other matches"
    finally:
        store.close()


def answers(store: Store) -> list[object]:
    """What a store finds, under conditions and without."""
    return [
        [{**match.as_dict(), "score": round(match.score, 4)} for match in found]
        for where in CONDITIONS
        for found in store.search(VECTORS[::9], 3, where)
    ]
