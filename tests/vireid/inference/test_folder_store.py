"""What happens to a folder store: kills, full disks, two writers, damage; a valid store stays valid."""

import errno
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from galleries import person_vectors, some_entries
from vireid.errors import StoreError
from vireid.inference import segments, snapshot
from vireid.inference.embedder import normalized
from vireid.inference.records import About, Where
from vireid.inference.store import open_store
from vireid.inference.tables import FILE

ABOUT = About("0123456789abcdef", 16, "a model")
VECTORS = person_vectors(100, 16)


def filled(folder, count=60, **options):
    store = open_store(folder, ABOUT, create=True, **options)
    with store.writing():
        store.add(some_entries(0, count), VECTORS[:count])
        store.optimize()
    return store


KILLED = """
import json, os, random, shutil, signal, sys
import numpy as np
from galleries import person_vectors, some_entries
from vireid.inference.records import About, Where
from vireid.inference.store import open_store

ABOUT, MOMENTS = About("0123456789abcdef", 16, "a model"), 20
vectors = person_vectors(100, 16)
removed = some_entries(0, 60)[3].path

def change(folder):
    store = open_store(folder, ABOUT)
    with store.writing():
        store.add(some_entries(55, 75), vectors[20:40])  # replaces five images, and writes two files again
        store.delete(Where(paths=(removed,)))
        store.optimize()
    store.close()

def state(folder):
    store = open_store(folder, ABOUT)
    entries = store.entries()
    matches = store.search(vectors[::9], 1)
    store.close()
    return [entry.path for entry in entries], [(found.path, round(found.score, 4)) for found, in matches]

store = open_store("store", ABOUT, create=True, exact_up_to=20)
with store.writing():
    store.add(some_entries(0, 40), vectors[:40])
    store.add(some_entries(40, 60), vectors[40:60])
    store.optimize()
store.close()

def traced(folder, stop):
    # The number of lines that a change runs, in Python; a kill before line number ``stop``.
    lines = 0
    def trace(frame, event, argument):
        nonlocal lines
        lines += event == "line"
        if lines == stop:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    try:
        change(folder)
    finally:
        sys.settrace(None)
    return lines

shutil.copytree("store", "warm")
change("warm")
shutil.copytree("store", "whole")
lines = traced("whole", -1)
old, whole = state("store"), state("whole")
states, statuses = [], []
generator = random.Random(0)
for moment in range(MOMENTS):
    stop = generator.randrange(lines * moment // MOMENTS, lines * (moment + 1) // MOMENTS) + 1
    shutil.copytree("store", f"killed{moment}")
    child = os.fork()
    if child == 0:
        traced(f"killed{moment}", stop)
        os._exit(0)
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    states.append(state(f"killed{moment}"))
    if moment % 4 == 0:
        change(f"killed{moment}")
        assert state(f"killed{moment}") == whole
print(json.dumps({"old": old, "whole": whole, "states": states, "statuses": statuses, "lines": lines}))
"""


def test_killed_at_twenty_moments_it_is_as_before_or_as_after_each_of_its_changes(python, request):
    projects = [str(path) for path in sorted((request.config.rootpath / "projects").iterdir())]
    run = python(KILLED, path=[*projects, str(request.config.rootpath / "tests")])
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["statuses"] == [-9] * 20 and found["lines"] > 1000
    (old, _), (whole, _) = found["old"], found["whole"]
    removed = some_entries(3, 4)[0].path
    added_alone = sorted({*whole, removed})
    for paths, matches in found["states"]:
        assert sorted(paths) in (sorted(old), added_alone, sorted(whole))
        # Each vector is that of its path: the best match of an image's own vector is the image.
        assert {path for path, score in matches if score > 0.9999} <= set(paths)
    reached = {tuple(sorted(paths)) for paths, _ in found["states"]}
    assert len(reached) > 1  # the moments lie on both sides of a commit


def test_a_file_of_a_killed_writer_is_removed_by_the_next_one(tmp_path):
    filled(tmp_path / "store").close()
    for name in ("vectors-00000099.npy", "codes-00000098.faiss"):
        (tmp_path / "store" / name).write_bytes(b"half")
    store = open_store(tmp_path / "store", ABOUT)
    assert len(store) == 60
    with store.writing():
        pass
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == [
        FILE,
        "vectors-00000001.npy",
        "writer.lock",
    ]


def test_a_store_that_was_killed_while_it_was_made_is_made_again(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / f"{FILE}.tmp").write_bytes(b"half")
    (tmp_path / "store" / f"{FILE}.tmp-journal").write_bytes(b"half")
    assert len(filled(tmp_path / "store")) == 60


def test_one_writer_at_a_time_and_readers_meanwhile(tmp_path):
    first = filled(tmp_path / "store")
    second = open_store(tmp_path / "store", ABOUT)
    with first.writing():
        busy = pytest.raises(StoreError, match="another process is writing to it; wait until it is done")
        with busy, second.writing():
            pass
        first.add(some_entries(60, 70), VECTORS[60:70])
        assert len(second) == 70  # what was committed is seen, although nobody has opened it again
        assert second.search(VECTORS[65:66], 1)[0][0].path == some_entries(65, 66)[0].path
    with second.writing():
        second.delete(Where(paths=(some_entries(65, 66)[0].path,)))
    assert first.search(VECTORS[65:66], 1)[0][0].path != some_entries(65, 66)[0].path


def test_a_full_disk_is_said_and_changes_nothing(tmp_path, monkeypatch):
    store = filled(tmp_path / "store")
    before = sorted(path.name for path in (tmp_path / "store").iterdir())

    def full(file, vectors):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(segments.np, "save", full)
        with (
            pytest.raises(
                StoreError, match="No space left on device; the store is as it was: free some space"
            ),
            store.writing(),
        ):
            store.add(some_entries(60, 70), VECTORS[60:70])
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == before
    store._tables.connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StoreError, match="is full; the store is as it was"), store.writing():
        store.add(some_entries(60, 100), VECTORS[60:])
    assert len(store) == 60
    assert len(open_store(tmp_path / "store", ABOUT)) == 60


def overwrite(path, content=b"<html>" * 1000):
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-500])


def cut_sums(path):
    path.write_bytes(path.read_bytes()[:-40])


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 2
    path.write_bytes(content)


def rename_a_camera(path):
    content = path.read_bytes()
    assert b".jpg30" in content  # a path, identity 3, camera 0
    path.write_bytes(content.replace(b".jpg30", b".jpg31", 1))


def forget_a_row(path):
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM images WHERE position = 7")


DAMAGES = {
    "no tables": (FILE, overwrite, f"is damaged \\({FILE}: file is not a database\\)"),
    "empty tables": (FILE, lambda path: overwrite(path, b""), f"is damaged \\({FILE}: no such table"),
    "tables that differ": (FILE, forget_a_row, "is damaged \\(its tables do not agree"),
    "no vectors": (
        "vectors-00000001.npy",
        lambda path: path.unlink(),
        "vectors-00000001.npy cannot be read: No",
    ),
    "other vectors": ("vectors-00000001.npy", overwrite, "vectors-00000001.npy cannot be read"),
    "half of the vectors": ("vectors-00000001.npy", cut, "vectors-00000001.npy cannot be read: mmap length"),
    "a few sums": ("vectors-00000001.npy", cut_sums, "vectors-00000001.npy has 50 sums of 60 vectors"),
    "a damaged header": (
        "vectors-00000001.npy",
        lambda path: flip(path, 8),
        "vectors-00000001.npy cannot be read",
    ),
    "another camera": (FILE, rename_a_camera, f"is damaged \\({FILE}: row .* missing from index images_by_"),
    "another modality": (
        FILE,
        lambda path: path.write_bytes(path.read_bytes().replace(b"infrared", b"infrarEd", 1)),
        f"is damaged \\({FILE}: an image is 'infrarEd'\\)",
    ),
    "vectors of another size": (
        "vectors-00000001.npy",
        lambda path: np.save(path, VECTORS[:7]),
        r"vectors-00000001.npy holds \(7, 16\) of float32, expected 60 x 16 of float32",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_refused(tmp_path, damage):
    name, harm, message = DAMAGES[damage]
    filled(tmp_path / "store").close()
    harm(tmp_path / "store" / name)
    with pytest.raises(StoreError, match=message) as caught:
        open_store(tmp_path / "store", ABOUT)
    assert str(caught.value).endswith("restore it from a copy, or delete it and index the gallery again")


@pytest.mark.parametrize("exact_up_to", [100, 20])
def test_a_flipped_bit_of_a_vector_is_found_when_the_vector_is_read(tmp_path, exact_up_to):
    """After the header, the sign of the first number of the seventh vector: its length is as it was."""
    filled(tmp_path / "store", exact_up_to=exact_up_to).close()
    path = tmp_path / "store" / "vectors-00000001.npy"
    content = bytearray(path.read_bytes())
    content[len(content) - 60 * 4 - 54 * 64 + 3] ^= 128
    path.write_bytes(content)
    store = open_store(tmp_path / "store", ABOUT)
    message = r"is damaged \(vectors-00000001.npy holds vectors that are not what was written: their sums"
    for query in (
        store.search,
        lambda *some: store.search(*some, Where(paths=(some_entries(6, 7)[0].path,))),
    ):
        with pytest.raises(StoreError, match=message):
            query(VECTORS[6:7], 1)
    with pytest.raises(StoreError, match=message), store.writing():
        store.delete(Where(paths=(some_entries(8, 9)[0].path,)))  # which writes the file again
    others = Where(identities=("2",))
    assert store.search(VECTORS[2:3], 1, others)[0][0].path == some_entries(2, 3)[0].path


def test_a_store_of_files_without_sums_is_searched_and_says_so(tmp_path, monkeypatch):
    filled(tmp_path / "store").close()
    path = tmp_path / "store" / "vectors-00000001.npy"
    path.write_bytes(path.read_bytes()[: -60 * 4])
    lines = []
    monkeypatch.setattr("vireid.inference.segments.logger.info", lines.append)
    store = open_store(tmp_path / "store", ABOUT)
    assert lines == [f"{path} has no sums: that its vectors are what was written cannot be checked"]
    assert store.search(VECTORS[:1], 1)[0][0].path == some_entries(0, 1)[0].path


@pytest.mark.parametrize("harm", [Path.unlink, cut, lambda path: flip(path, 300)])
def test_without_its_codes_a_search_is_exact_and_the_next_writer_makes_them_again(tmp_path, caplog, harm):
    filled(tmp_path / "store", exact_up_to=20).close()
    (codes,) = (tmp_path / "store").glob("codes-*.faiss")
    harm(codes)
    store = open_store(tmp_path / "store", ABOUT)
    assert store.info()["search"] == "exact" and "is missing or damaged" in caplog.text
    assert store.search(VECTORS[:1], 1)[0][0].path == some_entries(0, 1)[0].path
    with store.writing():
        store.optimize()
    assert store.info()["search"].startswith("approximate")


def test_a_store_of_a_later_version_is_refused(tmp_path):
    filled(tmp_path / "store").close()
    with sqlite3.connect(tmp_path / "store" / FILE) as connection:
        connection.execute("UPDATE about SET value = 2 WHERE key = 'format'")
    with pytest.raises(StoreError, match="is a store of form 2, and this version reads form 1"):
        open_store(tmp_path / "store", ABOUT)


def test_a_folder_of_other_files_is_not_taken(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(
        StoreError, match=r"holds other files, such as photo\.jpg, and no store; name an empty"
    ):
        open_store(tmp_path, ABOUT, create=True)


def test_a_condition_may_name_more_paths_than_a_statement_of_sqlite_takes(tmp_path):
    store = filled(tmp_path / "store")
    unknown = tuple(f"/elsewhere/{number}.jpg" for number in range(300_000))
    with store.writing():
        assert store.delete(Where(paths=(*unknown, some_entries(8, 9)[0].path))) == 1
    assert len(store) == 59


def test_a_condition_that_goes_with_the_query_loses_nothing(tmp_path, monkeypatch):
    """The nearest images of an infrared query are infrared, and visible ones are asked for."""
    monkeypatch.setattr(snapshot, "CANDIDATES", 40)
    monkeypatch.setattr(snapshot, "FEWEST_CANDIDATES", 10)
    entries = some_entries(0, 400)
    vectors = person_vectors(400, 16)
    vectors[1::2] += 4 * vectors[0]  # the infrared ones
    vectors = normalized(vectors)
    store = open_store(tmp_path / "store", ABOUT, create=True, exact_up_to=20)
    with store.writing():
        store.add(entries, vectors)
        store.optimize()
    visible = np.arange(0, 400, 2)
    for query in vectors[1::40]:
        best = visible[np.argsort(-(vectors[visible] @ query))[:10]]
        found = store.search(query[None], 10, Where(modalities=("visible",)))[0]
        assert [match.path for match in found] == [entries[number].path for number in best]


def test_deleted_vectors_are_on_no_file(tmp_path):
    store = filled(tmp_path / "store", exact_up_to=20)
    with store.writing():
        store.delete(Where(cameras=("1",)))
        store.optimize()
    kept = [vector for entry, vector in zip(some_entries(0, 60), VECTORS) if entry.camera != "1"]
    stored = np.concatenate([np.load(path) for path in (tmp_path / "store").glob("*.npy")])
    assert np.array_equal(stored, kept)
    assert store.info()["search"].startswith(f"approximate: {len(kept)} images")
