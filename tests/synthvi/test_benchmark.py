"""Recipes: their counts, their lists, their checksums."""

import hashlib
from collections import Counter
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from generated_data import content, id_list, pixels
from synthvi import RECIPES, write_contact_sheet
from synthvi.benchmark import verify_benchmark, write_benchmark
from synthvi.checksums import FILE
from synthvi.generate import write_dataset
from synthvi.recipe import Seen, find_recipe, plan_recipe, share_out
from vireid.errors import DatasetError, UserError

GOLDEN = Path(__file__).parents[1] / "golden" / "synthvi_1_0.npz"
SMALL, FULL = RECIPES["synthvi-1.0-small"], RECIPES["synthvi-1.0"]
TINY = replace(
    SMALL,
    name="tiny",
    size=(48, 24),
    identities={"train": 4, "val": 2, "test": 3},
    seen={
        "train": (Seen(4, 8),) * 6,
        "val": (Seen(2, 4),) * 6,
        "test": (Seen(2, 7, 0.3), Seen(2, 6), *(Seen(3, 9),) * 4),
    },
)


@pytest.fixture
def tiny(tmp_path):
    """The folder of a small benchmark."""
    write_benchmark(TINY, tmp_path / "data", workers=1, progress=False)
    return tmp_path / "data"


def counts(plan, pids):
    """Images of some identities by each camera: (images, identities that have any), from a plain count."""
    images = Counter(shot.camera for shot in plan.shots if shot.pid in pids)
    seen = {(shot.camera, shot.pid) for shot in plan.shots if shot.pid in pids}
    return [(images[f"cam{n}"], sum(1 for camera, _ in seen if camera == f"cam{n}")) for n in range(1, 7)]


def test_the_small_benchmark_has_what_its_name_says():
    plan = plan_recipe(SMALL)
    assert SMALL.size == (128, 64)
    sizes = {name: len(pids) for name, pids in plan.splits.items()}
    assert sizes == {"train": 300, "val": 50, "test": 100}
    for name, images in (("train", 8), ("val", 10), ("test", 10)):
        pids = set(plan.splits[name].tolist())
        assert counts(plan, pids) == [(images * len(pids), len(pids))] * 6


def test_the_full_benchmark_has_the_counts_of_sysu_mm01():
    plan = plan_recipe(FULL)
    assert {name: len(pids) for name, pids in plan.splits.items()} == {"train": 395, "val": 50, "test": 96}
    for name, visible, infrared in (("train", 22258, 11909), ("test", 6775, 3803)):
        images = [count for count, _ in counts(plan, set(plan.splits[name].tolist()))]
        assert images[0] + images[1] + images[3] + images[4] == visible
        assert images[2] + images[5] == infrared
    for name in ("train", "val", "test"):
        found = counts(plan, set(plan.splits[name].tolist()))
        assert found == [(seen.images, seen.identities) for seen in FULL.seen[name]]


@pytest.mark.parametrize("recipe", [SMALL, FULL], ids=lambda recipe: recipe.name)
def test_every_identity_is_in_one_split_and_in_both_modalities(recipe):
    plan = plan_recipe(recipe)
    everyone = sorted(pid for pids in plan.splits.values() for pid in pids.tolist())
    assert everyone == list(range(1, sum(recipe.identities.values()) + 1))
    for infrared in (True, False):
        seen = {shot.pid for shot in plan.shots if (shot.camera in ("cam3", "cam6")) == infrared}
        assert seen == set(everyone)


def test_recipes_are_frozen_and_found_by_name():
    with pytest.raises(FrozenInstanceError):
        SMALL.seed = 1
    assert find_recipe("synthvi-1.0") is FULL
    with pytest.raises(UserError, match="recipe is 'synthvi-1.0-smal'; did you mean synthvi-1.0-small"):
        find_recipe("synthvi-1.0-smal")


def test_shares_sum_to_the_images_and_follow_the_spread():
    for seen in (Seen(7, 100, 0.3), Seen(1, 5), Seen(96, 1920), Seen(56, 1374, 0.24)):
        shares = share_out(seen, np.random.default_rng(0))
        assert shares.sum() == seen.images and shares.min() >= 2 and len(shares) == seen.identities
    assert set(share_out(Seen(96, 1920), np.random.default_rng(0)).tolist()) == {20}
    spread = share_out(Seen(1000, 24000, 0.24), np.random.default_rng(0))
    assert spread.std() / spread.mean() == pytest.approx(0.22, abs=0.03)


def test_the_images_are_those_that_were_frozen(tmp_path):
    """As for the plain images: other versions of Pillow and NumPy change some values."""
    with np.load(GOLDEN) as golden:
        for recipe in (SMALL, FULL):
            names = [name for name in golden.files if name.startswith(f"{recipe.name}/")]
            assert names
            plan = plan_recipe(recipe)
            chosen = [shot for shot in plan.shots if f"{recipe.name}/{shot.path}" in names]
            folder = tmp_path / recipe.name
            write_dataset(
                replace(plan, shots=chosen), folder, recipe.seed, recipe.size, recipe.conditions, 1, False
            )
            for shot in chosen:
                expected = golden[f"{recipe.name}/{shot.path}"].astype(int)
                step = recipe.size[0] // expected.shape[0]
                difference = np.abs(pixels(folder / shot.path)[::step, ::step].astype(int) - expected)
                assert difference.mean() < 2, shot.path  # another recipe differs by 6 and more


def test_the_lists_and_permutations_fit_the_images(tiny):
    lists = {name: id_list(tiny / "exp" / f"{name}_id.txt") for name in ("train", "val", "test")}
    assert {name: len(pids) for name, pids in lists.items()} == {"train": 4, "val": 2, "test": 3}
    assert not set(lists["val"]) & set(lists["train"])
    cells = loadmat(tiny / "exp" / "rand_perm_cam.mat")["rand_perm_cam"]
    for camera in range(1, 7):
        for pid in range(1, 10):
            folder = tiny / f"cam{camera}" / f"{pid:04d}"
            images = len(list(folder.iterdir())) if folder.exists() else 0
            trials = cells[camera - 1, 0][pid - 1, 0]
            assert trials.size == 10 * images
            assert all(sorted(trial) == list(range(1, images + 1)) for trial in trials)


def test_the_library_reads_and_scores_it(tiny, tmp_path):
    import vireid  # noqa: F401  (before fastreid)
    from vireid.data.datasets import SYSUMM01
    from vireid.evaluation import SYSUProtocol

    tiny.rename(tmp_path / "SYSU-MM01")
    dataset = SYSUMM01(root=str(tmp_path))
    assert len({item.pid for item in dataset.train}) == 6 and len({item.pid for item in dataset.test}) == 3
    pids = np.array([item.pid for item in dataset.test])
    features = np.eye(10)[pids]
    numbers = [int(Path(item.path).stem) for item in dataset.test]
    camids = [item.camid for item in dataset.test]
    for search in ("all", "indoor"):
        protocol = SYSUProtocol(dataset.permutations, search=search, shots=1)
        assert protocol.evaluate(features, pids, camids, numbers).mean["Rank-1"] == 100


def test_the_same_bytes_whatever_the_workers(tiny, tmp_path):
    written = write_benchmark(TINY, tmp_path / "two", workers=2, progress=False)
    assert content(tiny) == content(tmp_path / "two")
    assert not written.as_published  # another recipe's digest
    assert write_benchmark(
        replace(TINY, digest=written.digest), tmp_path / "three", workers=1, progress=False
    ).as_published


def test_checksums_are_of_every_file(tiny):
    files = content(tiny)
    lines = files.pop(FILE).decode().splitlines()
    expected = [f"{hashlib.sha256(files[path]).hexdigest()}  {path}" for path in sorted(files)]
    assert lines == expected and len(lines) > 60
    assert verify_benchmark(tiny) is None  # intact, and no published recipe


def test_a_published_recipe_is_recognized(tiny, monkeypatch):
    digest = hashlib.sha256((tiny / FILE).read_bytes()).hexdigest()
    monkeypatch.setitem(RECIPES, "tiny", replace(TINY, digest=digest))
    assert verify_benchmark(tiny) == "tiny"


def test_verification_names_what_is_wrong(tiny):
    images = sorted(path.relative_to(tiny).as_posix() for path in tiny.rglob("*.jpg"))
    (tiny / images[0]).write_bytes(b"other")
    (tiny / images[1]).unlink()
    (tiny / "cam1" / "notes.txt").write_text("mine")
    with pytest.raises(DatasetError) as refused:
        verify_benchmark(tiny)
    assert f"1 missing (first {images[1]})" in str(refused.value)
    assert f"1 altered (first {images[0]})" in str(refused.value)
    assert "1 not in the checksum file (first cam1/notes.txt)" in str(refused.value)
    (tiny / FILE).write_text("what is this\n")
    with pytest.raises(DatasetError, match="line 1: found 'what is this'"):
        verify_benchmark(tiny)
    (tiny / FILE).unlink()
    with pytest.raises(DatasetError, match="cannot be read"):
        verify_benchmark(tiny)


def test_the_contact_sheet_leaves_out_cameras_that_never_saw_a_person(tmp_path):
    written = write_benchmark(TINY, tmp_path / "data", workers=1, progress=False)
    sheet = write_contact_sheet(tmp_path / "sheet.png", tmp_path / "data", written.report.plan, rows=9)
    assert pixels(sheet).shape[0] > 9 * 48
