"""Each kind of store beside a dictionary that does the same in plain loops."""

import datetime
import shutil
import uuid
from dataclasses import replace

import numpy as np
import pytest

from galleries import person_vectors, some_entries
from vireid.errors import StoreError
from vireid.inference.records import About, Where
from vireid.inference.stores import lance, open_store

ABOUT = About("0123456789abcdef", 16, "a model")
KINDS = ["folder", "approximate", "milvus lite", pytest.param("milvus", marks=pytest.mark.full)]
NOON = datetime.datetime(2026, 1, 2, 12)
CONDITIONS = [
    Where(),
    Where(cameras=("1",)),
    Where(cameras=("0", "2"), modalities=("infrared",)),
    Where(after=NOON),
    Where(before=NOON, identities=("3", "4")),
    Where(after=NOON, before=NOON + datetime.timedelta(hours=40), cameras=("2",)),
    Where(paths=tuple(entry.path for entry in some_entries(5, 9))),
    Where(identities=("nobody",)),
    Where(cameras=(), identities=("3",)),
    Where(tracks=("t4", "t7"), modalities=("visible",)),
    Where(paths=()),
]


@pytest.fixture(params=KINDS)
def kind(request, monkeypatch):
    """Approximate: every search is, with an index, outside of which some images lie."""
    if request.param == "milvus lite":
        pytest.importorskip("milvus_lite")
    monkeypatch.setattr(lance, "NEWEST", 20)
    return request.param


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory):
    """The address of a Milvus server that PyPI's package holds, for the tests' time."""
    milvus = pytest.importorskip("milvus", reason="a server: pip install milvus==2.3.5 (Linux, x86-64)")
    folder = tmp_path_factory.mktemp("milvus")
    server = milvus.MilvusServer(milvus.MilvusServerConfig(data_dir=str(folder)))
    server.start()
    yield f"http://{server.server_address}:{server.listen_port}"
    server.stop()
    shutil.rmtree(folder)  # 300 MB


@pytest.fixture
def address(kind, tmp_path, request):
    if kind == "milvus":
        return f"{request.getfixturevalue('milvus_server')}/of_{uuid.uuid4().hex}"
    return tmp_path / ("store.db" if kind == "milvus lite" else "store")


@pytest.fixture
def store(kind, address):
    opened = open_store(address, ABOUT, create=True, exact_up_to=20 if kind == "approximate" else None)
    yield opened
    opened.close()


class Plain:
    """Path -> entry and vector."""

    def __init__(self):
        self.images = {}

    def add(self, entries, vectors):
        for entry, vector in zip(entries, vectors):
            self.images.pop(entry.path, None)
            self.images[entry.path] = entry, vector

    def delete(self, where):
        self.images = {path: image for path, image in self.images.items() if not meets(image[0], where)}

    def search(self, query, top, where):
        found = [(float(v @ query), e.path) for e, v in self.images.values() if meets(e, where)]
        return sorted(found, key=lambda pair: -pair[0])[:top]


def meets(entry, where):
    for value, wanted in (
        (entry.camera, where.cameras),
        (entry.identity, where.identities),
        (entry.modality, where.modalities),
        (entry.path, where.paths),
        (entry.track, where.tracks),
    ):
        if wanted is not None and value not in wanted:
            return False
    if (where.after or where.before) and entry.time is None:
        return False
    return not (where.after and entry.time < where.after) and not (
        where.before and entry.time >= where.before
    )


def change(store, plain, entries, vectors):
    with store.writing():
        store.add(entries, vectors)
        store.optimize()
    plain.add(entries, vectors)


def assert_same(store, plain):
    assert len(store) == len(plain.images)
    assert {e.path: e for e in store.entries()} == {path: entry for path, (entry, _) in plain.images.items()}
    assert store.stamps() == {path: entry.stamp for path, (entry, _) in plain.images.items()}
    queries = person_vectors(3, 16, seed=9)
    for where in CONDITIONS:
        for query, matches in zip(queries, store.search(queries, 7, where), strict=True):
            expected = plain.search(query, 7, where)
            assert [match.path for match in matches] == [path for _, path in expected]
            np.testing.assert_allclose(
                [m.score for m in matches], [score for score, _ in expected], atol=1e-5
            )
            for match in matches:
                entry = plain.images[match.path][0]
                for name in ("identity", "camera", "time", "modality", "track"):
                    assert getattr(match, name) == getattr(entry, name)


def test_it_holds_and_finds_what_was_added_replaced_and_deleted(kind, store, address):
    plain, vectors = Plain(), person_vectors(120, 16)
    change(store, plain, some_entries(0, 50), vectors[:50])
    assert_same(store, plain)
    change(store, plain, some_entries(50, 60), vectors[50:60])  # few: not among the codes yet
    assert_same(store, plain)
    change(store, plain, some_entries(60, 120), vectors[60:])
    assert_same(store, plain)
    again = [replace(entry, camera="9", stamp="new") for entry in some_entries(40, 70)]
    change(store, plain, again, person_vectors(30, 16, seed=2))
    assert_same(store, plain)
    for where in (Where(cameras=("1",)), Where(paths=(some_entries(2, 3)[0].path,)), Where(before=NOON)):
        before = len(store)
        with store.writing():
            deleted = store.delete(where)
            store.optimize()
        plain.delete(where)
        assert deleted == before - len(plain.images) > 0
        assert_same(store, plain)
    store.calibrate({"fingerprint": "a", "thresholds": [{"score": 0.5}]})
    with store.writing():
        plain.delete(Where(cameras=("0",)))
        store.delete(Where(cameras=("0",)))
        store.optimize()
    store.close()
    reopened = open_store(address, ABOUT)
    assert_same(reopened, plain)
    assert reopened.calibration == {"fingerprint": "a", "thresholds": [{"score": 0.5}]}
    for where in CONDITIONS:
        entries, found = reopened.read(where)
        assert entries == reopened.entries(where) and found.shape == (len(entries), 16)
        for entry, vector in zip(entries, found, strict=True):
            np.testing.assert_array_equal(vector, plain.images[entry.path][1])
    reopened.close()


def test_an_empty_store_finds_nothing(store):
    assert store.search(person_vectors(2, 16), 5) == [[], []]
    assert store.info()["images"] == len(store) == 0


def test_info_says_what_is_in_it(kind, store):
    entries = some_entries(0, 50)
    change(store, Plain(), entries, person_vectors(50, 16))
    info = store.info()
    assert info["images"] == 50 and info["identities"] == 5
    assert info["cameras"] == {
        name: sum((entry.camera or "unknown") == name for entry in entries)
        for name in ("0", "1", "2", "unknown")
    }
    assert info["modalities"] == {"infrared": 25, "visible": 25}
    assert (info["first"], info["last"]) == ("2026-01-01 01:00:00", "2026-01-03 01:00:00")
    assert (info["model"], info["fingerprint"], info["dimension"]) == ("a model", ABOUT.fingerprint, 16)
    assert info["search"].startswith(
        {"folder": "exact", "approximate": "approximate: 2 bits for each number"}.get(kind, "by")
    )


@pytest.mark.parametrize(
    "other", [About("fedcba9876543210", 16, "another model"), About("0123456789abcdef", 32, "a model")]
)
def test_a_store_of_another_model_is_refused(store, address, other):
    with store.writing():
        pass
    store.close()
    with pytest.raises(StoreError, match=r"holds embeddings of a model \(fingerprint 0123456789abcdef, 16"):
        open_store(address, other, create=True)
    open_store(address).close()


def test_what_is_no_store_is_refused(kind, address):
    with pytest.raises(StoreError, match="is no store; `vireid search index` makes one"):
        open_store(address, ABOUT)
    assert kind == "milvus" or not address.exists()


def test_a_store_is_made_when_it_is_written_to_and_not_before(kind, store, address):
    with pytest.raises(StoreError, match="is no store"):
        open_store(address)
    with pytest.raises(StoreError, match="is zero, NaN or infinite"), store.writing():
        store.add(some_entries(0, 1), np.zeros((1, 16), np.float32))
    with store.writing():
        store.add(some_entries(0, 1), person_vectors(1, 16))
    assert len(open_store(address)) == len(store) == 1


@pytest.mark.parametrize("kind", KINDS[2:], indirect=True)
def test_an_error_of_milvus_says_its_version_and_the_earliest_one(store):
    long = replace(some_entries(0, 1)[0], identity="x" * 1000)
    with (
        pytest.raises(StoreError, match=r"its version is \S+; servers from 2\.3 on can be used") as caught,
        store.writing(),
    ):
        store.add([long], person_vectors(1, 16))
    assert "\n" not in str(caught.value) and len(store) == 0
