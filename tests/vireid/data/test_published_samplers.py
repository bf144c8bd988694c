import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat

from vireid import Modality
from vireid.data.published_samplers import AGWIdentitySampler, MCJAIdentitySampler
from vireid.data.samplers import CrossModalityIdentitySampler, ModalityFreeIdentitySampler, build_sampler

PROTOCOL = Path(
    os.environ.get("VIREID_SYSU_PROTOCOL", Path(__file__).resolve().parents[4] / "shared" / "protocol")
)
SAMPLERS = [AGWIdentitySampler, MCJAIdentitySampler]
REGDB = [(10, 10)] * 206


def make_items(counts):
    """Items of identity i with counts[i] = (visible, infrared) images."""
    return [
        (f"{pid}/{modality.name}/{n}", pid, 0, modality)
        for pid, numbers in enumerate(counts)
        for modality, number in zip((Modality.VISIBLE, Modality.INFRARED), numbers)
        for n in range(number)
    ]


@pytest.fixture(scope="module")
def sysu():
    """(visible, infrared) images of each training identity of the real SYSU-MM01."""
    paths = [PROTOCOL / name for name in ("rand_perm_cam.mat", "train_id.mat", "test_id.mat")]
    if not all(path.exists() for path in paths):
        pytest.skip(f"{PROTOCOL} has no official lists; VIREID_SYSU_PROTOCOL names their folder")
    cameras = [camera[:, 0] for camera in loadmat(paths[0])["rand_perm_cam"][:, 0]]
    test = set(loadmat(paths[2])["id"].ravel().tolist())

    def images(pid, numbers):
        # Of an identity that a camera has not seen, the file has an empty cell, or none.
        return sum(cameras[n - 1][pid - 1].shape[1] for n in numbers if pid <= len(cameras[n - 1]))

    counts = {
        pid: (images(pid, (1, 2, 4, 5)), images(pid, (3, 6)))
        for pid in range(1, max(map(len, cameras)) + 1)
        if pid not in test
    }
    kept = {pid: count for pid, count in counts.items() if all(count)}  # 395: training and validation
    assert set(loadmat(paths[1])["id"].ravel().tolist()) < set(kept)
    return [*kept.values()]


def batches_of(sampler, counts, batch_size, num_instances):
    return len(sampler(make_items(counts), batch_size, num_instances))


def test_epochs_on_sysu(sysu):
    assert (len(sysu), *map(sum, zip(*sysu))) == (395, 22258, 11909)
    assert batches_of(AGWIdentitySampler, sysu, 64, 4) == 696
    assert batches_of(CrossModalityIdentitySampler, sysu, 64, 4) == 695
    assert batches_of(MCJAIdentitySampler, sysu, 128, 16) == 243
    items = make_items(sysu)
    assert len(list(AGWIdentitySampler(items, 64, 4))) == 696
    assert len(list(MCJAIdentitySampler(items, 128, 16))) == 243


def test_epochs_on_regdb():
    assert batches_of(AGWIdentitySampler, REGDB, 64, 4) == 65
    assert batches_of(CrossModalityIdentitySampler, REGDB, 64, 4) == 64
    assert batches_of(MCJAIdentitySampler, REGDB, 128, 32) == 51
    assert batches_of(ModalityFreeIdentitySampler, REGDB, 128, 32) == 51
    assert len(list(MCJAIdentitySampler(make_items(REGDB), 128, 32))) == 51


image_counts = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(any), min_size=4, max_size=9)


@settings(max_examples=60, deadline=None)
@given(counts=image_counts, pids=st.integers(1, 4), images=st.integers(1, 5), seed=st.integers(0, 99))
def test_agw_batches(counts, pids, images, seed):
    items = make_items(counts)
    sampler = AGWIdentitySampler(items, 2 * pids * images, images, seed=seed)
    batches = list(sampler)
    totals = [sum(column) for column in zip(*counts)]
    assert len(batches) == len(sampler) == int(max(totals) / (pids * images)) + 1
    for batch in batches:
        members = [items[index] for index, _ in batch]
        assert [item[3] for item in members] == sorted(item[3] for item in members)
        seen = Counter((item[1], item[3]) for item in members)
        assert len({pid for pid, _ in seen}) == pids
        for (pid, _), number in seen.items():
            assert number == (images if all(counts[pid]) else 2 * images)


def test_agw_draws_images_with_replacement_and_identities_afresh():
    items = make_items([(6, 6)] * 5)
    batches = [[index for index, _ in batch] for batch in AGWIdentitySampler(items, 24, 6)]
    # Six draws of six images give each of them once in 1 of 65 cases.
    assert all(len(set(batch)) < len(batch) for batch in batches)
    # Each of the 10 pairs of 5 identities is as likely as another.
    sampler = AGWIdentitySampler(make_items([(2000, 1)] * 5), 4, 1, seed=1)
    pairs = Counter(tuple(sorted({sampler.items[i].pid for i, _ in batch})) for batch in sampler)
    assert len(pairs) == 10
    assert max(abs(number - len(sampler) / 10) for number in pairs.values()) < 100  # 5 deviations


@settings(max_examples=60, deadline=None)
@given(counts=image_counts, pids=st.integers(1, 4), images=st.integers(1, 6), seed=st.integers(0, 99))
def test_mcja_batches_are_rounds_of_the_published_draw(counts, pids, images, seed):
    items = make_items(counts)
    totals = [sum(count) for count in counts]
    sampler = MCJAIdentitySampler(items, pids * images, images, seed=seed)
    batches = list(sampler)
    rounded = [max(total, images) - max(total, images) % images for total in totals]
    assert len(batches) == len(sampler) == sum(rounded) // (pids * images)

    used, left = Counter(), []
    for batch in batches:
        members = [items[index] for index, _ in batch]
        assert [item[3] for item in members] == sorted(item[3] for item in members)
        drawn = Counter(item[1] for item in members)
        assert len(drawn) == pids and set(drawn.values()) == {images}
        if sum(number > 0 for number in left) < pids:  # another round begins
            used, left = Counter(), [number // images for number in rounded]
        used.update(index for index, _ in batch)
        for pid in drawn:
            left[pid] -= 1
            assert left[pid] >= 0
        # Within a round, no image of an identity that has K images comes twice.
        assert all(number == 1 for i, number in used.items() if totals[items[i][1]] >= images)


def test_mcja_draws_uniformly_among_identities_with_groups_left():
    # One of four identities has all but three of the groups: it is in the first batch no more often.
    items = make_items([(20, 20), (1, 1), (1, 1), (1, 1)])
    first = Counter()
    for seed in range(400):
        batch = next(iter(MCJAIdentitySampler(items, 2, 2, seed=seed)))
        first.update({items[index][1] for index, _ in batch})
    assert all(60 < first[pid] < 140 for pid in range(4))  # 100 expected, 4.6 deviations


def test_an_identity_with_few_images_draws_them_with_replacement():
    items = make_items([(10, 10)] * 4)
    counts = [
        Counter(Counter(index for index, _ in batch).values())
        for batch in MCJAIdentitySampler(items, 128, 32)
    ]
    assert any(max(count) > 2 for count in counts)  # ModalityFreeIdentitySampler gives each once or twice


@pytest.mark.parametrize("cls", SAMPLERS)
def test_batches_depend_on_seed_and_epoch_alone(cls):
    items = make_items([(7, 5)] * 8)

    def epoch(number, seed=3):
        sampler = cls(items, 16, 4, seed=seed)
        sampler.set_epoch(number)
        return list(sampler)

    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    assert epoch(2) == epoch(2)
    assert epoch(0) != epoch(1)
    assert epoch(0) != epoch(0, seed=4)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


@pytest.mark.parametrize("cls", SAMPLERS)
@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_share_out_the_same_batches(cls, world_size):
    items = make_items([(7, 5), (3, 0), (0, 9), (12, 1)] * 4)
    whole = list(cls(items, 32, 4, seed=1))
    shares = [list(cls(items, 32, 4, seed=1, rank=rank, world_size=world_size)) for rank in range(world_size)]
    for number, batch in enumerate(whole):
        parts = [share[number] for share in shares]
        assert sorted(sample for part in parts for sample in part) == sorted(batch)
        assert {len(part) for part in parts} == {32 // world_size}
        for part in parts:
            modalities = [items[index][3] for index, _ in part]
            assert modalities == sorted(modalities)


def test_they_are_found_by_name(cfg):
    cfg.SOLVER.IMS_PER_BATCH = 16
    for cls in SAMPLERS:
        cfg.DATALOADER.SAMPLER_TRAIN = cls.__name__
        assert type(build_sampler(cfg, make_items([(7, 5)] * 8), 0, 0, 1).sampler) is cls
