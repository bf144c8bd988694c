"""What happens to a store in a folder: kills, full disks, two writers, damage; a valid store stays valid."""

import errno
import json
import os
import resource
import shutil
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from galleries import person_vectors, some_entries
from vireid.errors import ConfigError, StoreError
from vireid.inference.network import normalized
from vireid.inference.records import About, Where
from vireid.inference.stores import lance, lance_rows, open_store, protocol

ABOUT = About("0123456789abcdef", 16, "a model")
VECTORS = person_vectors(100, 16)


def filled(folder, count=60, **options):
    store = open_store(folder, ABOUT, create=True, **options)
    with store.writing():
        store.add(some_entries(0, count), VECTORS[:count])
        store.optimize()
    return store


def found(store, number, **condition):
    """The path that the vector of an image finds."""
    (matches,) = store.search(VECTORS[number : number + 1], 1, Where(**condition))
    return matches[0].path


KILLED = """
import json, os, random, signal, time
import lancedb  # its threads start when a store is opened: that happens in children alone
from galleries import person_vectors, some_entries
from vireid.inference.records import About, Where
from vireid.inference.stores import lance, open_store

ABOUT, KILLS, SIZE = About("0123456789abcdef", 16, "a model"), 8, 20
vectors = person_vectors(4000, 16)
lance.NEWEST, lance.PIECES = 40, 4

def opened():
    return open_store("store", ABOUT, create=True, exact_up_to=30)

def write(first, tell):
    store = opened()
    for batch in range(first, 200):
        some = slice(batch * SIZE, (batch + 1) * SIZE)
        entries = some_entries(some.start, some.stop)
        with store.writing():
            store.add(entries, vectors[some])
            os.write(tell, bytes([batch]))
            if batch % 5 == 4:
                store.delete(Where(paths=(entries[3].path,)))
            store.optimize()

def state(tell):
    store = opened()
    paths = [entry.path for entry in store.entries()]
    wrong = []
    for number in range(0, len(paths), 7):
        own = int(paths[number].split("/")[2][:5])
        if store.search(vectors[own : own + 1], 1)[0][0].path != paths[number]:
            wrong.append(paths[number])
    os.write(tell, json.dumps([len(store), paths, wrong]).encode())

def child(act, *arguments):
    here, there = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            act(*arguments, there)
        finally:
            os._exit(1)
    os.close(there)
    return process, here

def everything(here):
    with os.fdopen(here, "rb") as file:
        return file.read()

generator = random.Random(0)
first, states = 0, []
for _ in range(KILLS):
    process, here = child(write, first)
    told = os.read(here, 1)
    time.sleep(generator.uniform(0, 0.12))
    os.kill(process, signal.SIGKILL)
    told += everything(here)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    last = told[-1]
    process, here = child(state)
    states.append([first, last, status, *json.loads(everything(here))])
    os.waitpid(process, 0)
    first = last + 2
print(json.dumps(states))
"""


def test_what_a_killed_writer_had_committed_is_there_whole_and_nothing_else(python, request):
    projects = [str(path) for path in sorted((request.config.rootpath / "projects").iterdir())]
    run = python(KILLED, path=[*projects, str(request.config.rootpath / "tests")])
    assert run.returncode == 0, run.stderr
    committed, maybe = set(), set()
    for first, last, status, count, paths, wrong in json.loads(run.stdout):
        assert status == -9 and wrong == []
        committed |= {*range(first, last + 1)}
        maybe |= {last + 1}  # it may have been committed before the kill, and not told
        batches = {}
        for path in paths:
            batches.setdefault(int(path.split("/")[2][:5]) // 20, []).append(path)
        assert committed <= set(batches) <= committed | maybe
        sizes = {batch: len(own) for batch, own in batches.items()}
        assert {batch for batch, size in sizes.items() if size not in (20, 19)} == set()
        assert {batch for batch, size in sizes.items() if size == 19} <= {b for b in batches if b % 5 == 4}
        assert count == len(paths) == len(set(paths))


def test_what_a_killed_writer_left_is_removed_by_the_next_one(tmp_path):
    store = filled(tmp_path / "store")
    left = tmp_path / "store" / "gallery.lance" / "data" / "0110.lance"
    left.write_bytes(b"half")
    assert len(store) == 60
    with store.writing():
        store.delete(Where(cameras=("1",)))
        store.optimize()
    assert not left.exists() and len(store) == 60 - sum(e.camera == "1" for e in some_entries(0, 60))


def test_a_store_that_was_killed_while_it_was_made_is_made_again(tmp_path):
    (tmp_path / "store" / "gallery.lance" / "_transactions").mkdir(parents=True)
    (tmp_path / "store" / "gallery.lance" / "_transactions" / "0-1.txn").write_bytes(b"half")
    (tmp_path / "store" / "writer.lock").touch()
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
        assert second.info()["images"] == len(second.entries()) == 70
        assert found(second, 65) == some_entries(65, 66)[0].path
        first.delete(Where(cameras=("0",)))
        first.optimize()  # the files that the second one has read are gone
        assert found(second, 65) == some_entries(65, 66)[0].path
    with second.writing():
        second.delete(Where(paths=(some_entries(65, 66)[0].path,)))
    assert found(first, 65) != some_entries(65, 66)[0].path


@contextmanager
def full_disk(size):
    """No file may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_and_changes_nothing(tmp_path):
    message = os.strerror(errno.EFBIG) + "; the store is as it was: free some space, and run the same command"
    unmade = open_store(tmp_path / "store", ABOUT, create=True, exact_up_to=50)
    with full_disk(100), pytest.raises(StoreError, match=message), unmade.writing():
        pass
    store = filled(tmp_path / "store", 40, exact_up_to=50)
    with full_disk(2_000):
        with pytest.raises(StoreError, match=message), store.writing():
            store.add(some_entries(40, 100), VECTORS[40:])
        assert len(store) == 40
    with store.writing():
        store.add(some_entries(40, 100), VECTORS[40:])
        with full_disk(1_500), pytest.raises(StoreError, match=message):
            store.optimize()  # the index does not fit
    assert len(open_store(tmp_path / "store", ABOUT)) == 100
    assert [found(store, number) for number in (3, 50)] == [some_entries(n, n + 1)[0].path for n in (3, 50)]


@pytest.mark.parametrize("exact_up_to", [100, 20])
def test_a_store_that_was_moved_is_read_and_reading_writes_nothing(tmp_path, exact_up_to):
    filled(tmp_path / "store", exact_up_to=exact_up_to).close()
    shutil.move(tmp_path / "store", tmp_path / "moved")
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "moved").rglob("*")}
    store = open_store(tmp_path / "moved", ABOUT)
    assert found(store, 3, cameras=("0",)) == some_entries(3, 4)[0].path
    assert store.info()["images"] == len(store.stamps()) == 60
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "moved").rglob("*")} == files


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_said(tmp_path):
    filled(tmp_path / "store").close()
    for path in [tmp_path / "store", *(tmp_path / "store").rglob("*")]:
        path.chmod(0o555)
    store = open_store(tmp_path / "store", ABOUT)
    assert len(store) == 60
    with pytest.raises(StoreError, match="cannot be written to: Permission denied"), store.writing():
        pass


def data_file(folder):
    return max((folder / "gallery.lance" / "data").iterdir(), key=lambda path: path.stat().st_size)


def cut(folder):
    path = data_file(folder)
    path.write_bytes(path.read_bytes()[:-500])


def lose_the_versions(folder):
    shutil.rmtree(folder / "gallery.lance" / "_versions")


DAMAGES = {
    "no vectors": lambda folder: data_file(folder).unlink(),
    "half of the vectors": cut,
    "other vectors": lambda folder: data_file(folder).write_bytes(b"<html>" * 1000),
    "no versions": lose_the_versions,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_refused(tmp_path, damage):
    filled(tmp_path / "store").close()
    DAMAGES[damage](tmp_path / "store")
    with pytest.raises(StoreError, match=r"store is damaged \(") as caught:
        open_store(tmp_path / "store", ABOUT, create=True).search(VECTORS[:1], 1)
    assert str(caught.value).endswith("restore it from a copy, or delete it and index the gallery again")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("exact_up_to", [100, 20])
def test_what_the_disk_has_changed_is_not_shown_as_a_match(tmp_path, exact_up_to):
    """The last bit of a number of the seventh vector, and another name of a camera in its row."""
    filled(tmp_path / "store", exact_up_to=exact_up_to).close()
    path = data_file(tmp_path / "store")
    content = path.read_bytes()
    place = content.index(VECTORS[6].tobytes())
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    store = open_store(tmp_path / "store", ABOUT)
    for condition in ({}, {"paths": (some_entries(6, 7)[0].path,)}):
        with pytest.raises(StoreError, match=r"damaged \(what it holds of /gallery/00006 .* is not what was"):
            found(store, 6, **condition)
    assert found(store, 2, identities=("2",)) == some_entries(2, 3)[0].path
    row = [*vars(some_entries(6, 7)[0]).values()]
    assert lance_rows.row_sum(row, VECTORS[6]) != lance_rows.row_sum([*row[:2], "2", *row[3:]], VECTORS[6])


def test_a_store_of_an_earlier_or_later_version_is_refused(tmp_path, monkeypatch):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "gallery.sqlite").touch()
    for create in (True, False):
        with pytest.raises(
            StoreError, match=r"old is a store of an earlier version, which .* index the gallery"
        ):
            open_store(tmp_path / "old", ABOUT, create=create)
    filled(tmp_path / "store").close()
    monkeypatch.setattr(lance, "FORMAT", 4)
    with pytest.raises(StoreError, match=r"a store of another form than this version reads \(4\)"):
        open_store(tmp_path / "store", ABOUT)


def test_what_is_no_folder_for_a_store_is_not_taken(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(
        StoreError, match=r"holds other files, such as photo\.jpg, and no store; name an empty"
    ):
        open_store(tmp_path, ABOUT, create=True)
    with pytest.raises(StoreError, match=r"photo\.jpg is a file, and a store is a folder"):
        open_store(tmp_path / "photo.jpg", ABOUT, create=True)
    with pytest.raises(
        StoreError, match=r"ftp://here: a store is a folder, a file \*\.db, or begins with one"
    ):
        open_store("ftp://here", ABOUT, create=True)


def test_an_object_store_is_given_to_lancedb_as_it_is(monkeypatch):
    asked = []

    class Library:
        @staticmethod
        def connect(address):
            asked.append(address)
            raise RuntimeError("no such bucket")

    monkeypatch.setattr(lance, "library", lambda *names: Library)
    for address in ("s3://bucket/store", "gs://bucket/store", "az://container/store"):
        with pytest.raises(StoreError, match=rf"{address} is damaged, or does not answer \(no such bucket\)"):
            open_store(address, ABOUT, create=True)
    assert asked == ["s3://bucket/store", "gs://bucket/store", "az://container/store"]


def test_without_the_library_the_error_says_what_to_install(monkeypatch, tmp_path):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(protocol.importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r'store needs lancedb: pip install "fastreid-vi\[search\]"'):
        lance.LanceStore(str(tmp_path / "store"), ABOUT, create=True)


WRONG_ROWS = {
    "one vector too few": (some_entries(0, 3), VECTORS[:2], r"3 images come with vectors \(2, 16\)"),
    "another dimension": (some_entries(0, 3), VECTORS[:3, :8], r"3 images come with vectors \(3, 8\)"),
    "no matrix": (some_entries(0, 16), VECTORS[0], r"16 images come with vectors \(16,\)"),
    "not a number": (some_entries(0, 2), VECTORS[:2] * [[1], [np.nan]], "00001 .* is zero, NaN or infinite"),
    "zero": (some_entries(0, 2), VECTORS[:2] * [[0], [1]], "00000 .* is zero, NaN or infinite"),
    "one path twice": (some_entries(0, 2) + some_entries(1, 2), VECTORS[:3], "00001 .* is to be added twice"),
}


@pytest.mark.parametrize("wrong", WRONG_ROWS)
def test_what_a_store_must_not_hold_is_refused_before_anything_is_written(tmp_path, wrong):
    entries, vectors, message = WRONG_ROWS[wrong]
    store = filled(tmp_path / "store")
    before = store.entries()
    with pytest.raises(StoreError, match=message), store.writing():
        store.add(entries, vectors)
    assert open_store(tmp_path / "store", ABOUT).entries() == before


def test_conditions_of_many_paths_and_of_odd_names(tmp_path):
    odd = [
        "a'b",
        'a"b',
        "a\\b",
        "a\\'b",
        "a\nb",
        "a%b",
        "''",
        "x' OR '1'='1",
        "a;b--",
        "ü☃",
        "a\0b",
        "`a`",
        " a ",
    ]
    entries = [replace(e, path=f"/{name}", camera=name) for e, name in zip(some_entries(0, 99), odd)]
    store = open_store(tmp_path / "store", ABOUT, create=True)
    with store.writing():
        store.add(entries, VECTORS[: len(odd)])
    for number, name in enumerate(odd):
        for condition in ({"cameras": (name,)}, {"paths": (f"/{name}",)}, {"cameras": tuple(odd[number:])}):
            assert found(store, number, **condition) == f"/{name}"
    elsewhere = tuple(f"/elsewhere/{number}.jpg" for number in range(30_000))
    assert len(store.entries(Where(paths=(*elsewhere, "/ü☃")))) == 1
    with store.writing():
        assert store.delete(Where(paths=(*elsewhere, "/a'b"))) == 1
        assert store.delete(Where(paths=(), cameras=tuple(odd))) == 0
    assert len(store) == len(odd) - 1


def test_a_condition_that_goes_with_the_query_loses_nothing(tmp_path):
    """The nearest images of an infrared query are infrared, and visible ones are asked for."""
    entries, vectors = some_entries(0, 1000), person_vectors(1000, 16)
    vectors[1::2] += 4 * vectors[0]  # the infrared ones
    vectors = normalized(vectors)
    store = open_store(tmp_path / "store", ABOUT, create=True, exact_up_to=20)
    with store.writing():
        store.add(entries, vectors)
        store.optimize()
    visible = np.arange(0, 1000, 2)
    for query in vectors[1::100]:
        best = visible[np.argsort(-(vectors[visible] @ query))[:10]]
        matches = store.search(query[None], 10, Where(modalities=("visible",)))[0]
        assert [match.path for match in matches] == [entries[number].path for number in best]


def test_what_is_appended_replaced_and_deleted_is_found_once_and_the_recall_stays(tmp_path, monkeypatch):
    """Of 100 numbers, which no index takes as they are; some images outside of the index at each search."""
    monkeypatch.setattr(lance, "NEWEST", 150)
    about, all_vectors = About("0123456789abcdef", 100, "a model"), person_vectors(1500, 100)
    store, own = open_store(tmp_path / "store", about, create=True, exact_up_to=500), {}
    with_index = []
    for first in range(0, 1500, 100):
        numbers = range(max(0, first - 5), first + 100)  # five of them once more
        entries = [entry for number in numbers for entry in some_entries(number, number + 1)]
        with store.writing():
            store.add(entries, all_vectors[numbers])
            if first % 400 == 300:
                gone = tuple(entry.path for entry in entries[::9])
                assert store.delete(Where(paths=gone)) == len(gone)
            else:
                gone = ()
            store.optimize()
        own |= dict(zip([entry.path for entry in entries], all_vectors[numbers]))
        own = {path: vector for path, vector in own.items() if path not in gone}
        with_index.append("approximate" in store.info()["search"])
    assert with_index[-1] and not with_index[0]
    paths, vectors = [*own], np.stack([*own.values()])
    assert len(store) == len(paths)
    hits = []
    for query in normalized(person_vectors(1500, 100)[::50] + 0.1 * person_vectors(30, 100, seed=5)):
        (matches,) = store.search(query[None], 10)
        best = np.argsort(-(vectors @ query))[:10]
        assert len({match.path for match in matches}) == 10
        hits.append(len({paths[number] for number in best} & {match.path for match in matches}))
    assert np.mean(hits) / 10 >= 0.99


def test_how_many_images_are_searched_exactly_is_kept_and_can_be_changed(tmp_path):
    filled(tmp_path / "store", exact_up_to=20).close()
    store = open_store(tmp_path / "store", ABOUT)
    assert store.info()["exact_up_to"] == 20 and store.info()["search"].startswith("approximate: 2 bits")
    store = open_store(tmp_path / "store", ABOUT, exact_up_to=60)
    assert store.info()["search"] == "exact"
    with store.writing():
        store.optimize()
    assert store._table.index_stats(lance.INDEX) is None
    assert open_store(tmp_path / "store").info()["exact_up_to"] == 60


def test_deleted_vectors_are_on_no_file(tmp_path):
    store = filled(tmp_path / "store", exact_up_to=20)
    with store.writing():
        store.delete(Where(paths=tuple(entry.path for entry in some_entries(7, 9))))
        store.optimize()
    content = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    on_disk = [VECTORS[number].tobytes() in content for number in range(60)]
    assert on_disk == [number not in (7, 8) for number in range(60)]
    assert store.info()["search"].startswith("approximate")
