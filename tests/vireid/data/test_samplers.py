import random
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vireid import Modality
from vireid.data.samplers import (
    SAMPLER_REGISTRY,
    CrossModalityIdentitySampler,
    EpochBatches,
    ModalityFreeIdentitySampler,
    build_sampler,
)
from vireid.errors import ConfigError

SAMPLERS = [CrossModalityIdentitySampler, ModalityFreeIdentitySampler]


def make_items(counts, seed=0):
    """Items of identity i with counts[i] = (visible, infrared) images, shuffled."""
    items = [
        (f"{pid}/{modality.name}/{n}", pid, 0, modality)
        for pid, numbers in enumerate(counts)
        for modality, number in zip((Modality.VISIBLE, Modality.INFRARED), numbers)
        for n in range(number)
    ]
    random.Random(seed).shuffle(items)
    return items


def epoch_of(sampler, epoch=0):
    sampler.set_epoch(epoch)
    return list(sampler)


def indices(batch):
    return [index for index, _ in batch]


image_counts = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(any), min_size=4, max_size=9)


@settings(max_examples=80, deadline=None)
@given(counts=image_counts, pids=st.integers(1, 4), images=st.integers(1, 4), seed=st.integers(0, 99))
def test_cross_modality_batches(counts, pids, images, seed):
    items = make_items(counts)
    sampler = CrossModalityIdentitySampler(items, 2 * pids * images, images, seed=seed)
    batches = epoch_of(sampler)
    totals = [sum(count[m] for count in counts) for m in (0, 1)]
    assert len(batches) == len(sampler) == max(1, max(totals) // (pids * images))
    uses = defaultdict(Counter)
    for batch in batches:
        members = [items[index] for index in indices(batch)]
        assert [item[3] for item in members] == sorted(item[3] for item in members)  # visible first
        of_pid = defaultdict(Counter)
        for item in members:
            of_pid[item[1]][item[3]] += 1
        assert len(of_pid) == pids
        for pid, seen in of_pid.items():
            uses["batches"][pid] += 1
            both = all(counts[pid])
            assert dict(seen) == ({0: images, 1: images} if both else {int(counts[pid][0] == 0): 2 * images})
            for modality, number in seen.items():
                drawn = Counter(i for i in indices(batch) if items[i][1] == pid and items[i][3] == modality)
                if counts[pid][modality] >= number:
                    assert max(drawn.values()) == 1
                uses[pid, modality].update(drawn)
    appearances = [uses["batches"][pid] for pid in range(len(counts))]
    assert max(appearances) - min(appearances) <= 1
    for key, drawn in uses.items():
        if key != "batches":
            every = [drawn[i] for i, item in enumerate(items) if (item[1], item[3]) == key]
            assert max(every) - min(every) <= 1


@settings(max_examples=80, deadline=None)
@given(counts=image_counts, pids=st.integers(1, 4), images=st.integers(1, 6), seed=st.integers(0, 99))
def test_modality_free_batches(counts, pids, images, seed):
    items = make_items(counts)
    sampler = ModalityFreeIdentitySampler(items, pids * images, images, seed=seed)
    batches = epoch_of(sampler)
    assert len(batches) == len(sampler)
    uses = Counter()
    for batch in batches:
        members = [items[index] for index in indices(batch)]
        assert [item[3] for item in members] == sorted(item[3] for item in members)
        assert Counter(item[1] for item in members).most_common() == [
            (pid, images)
            for pid in dict.fromkeys(pid for pid, _ in Counter(i[1] for i in members).most_common())
        ]
        assert len({item[1] for item in members}) == pids
        uses.update(indices(batch))
    for index, number in uses.items():
        total = sum(counts[items[index][1]])
        assert number == 1 if total >= images else number <= -(-images // total)
    # No schedule has more batches: the best one always takes the identities with most left.
    left = [max(1, sum(count) // images) for count in counts]
    most = 0
    while sum(number > 0 for number in left) >= pids:
        for pid in sorted(range(len(left)), key=lambda p: -left[p])[:pids]:
            left[pid] -= 1
        most += 1
    assert len(batches) == most


def test_modality_free_epoch_uses_every_image_where_all_fit():
    items = make_items([(6, 2), (1, 7), (4, 4), (8, 0)])
    batches = epoch_of(ModalityFreeIdentitySampler(items, 8, 4))
    assert sorted(i for batch in batches for i in indices(batch)) == list(range(32))
    assert len(batches) == 4


def test_an_identity_with_fewer_images_than_asked_for_gives_each_of_them():
    items = make_items([(10, 10)] * 4)  # RegDB
    for batch in epoch_of(ModalityFreeIdentitySampler(items, 64, 32)):
        counts = Counter(indices(batch))
        assert len(counts) == 40 and set(counts.values()) == {1, 2}


def test_visible_first_keeps_the_order_within_a_modality():
    items = make_items([(5, 5)] * 6)
    for cls in SAMPLERS:
        batch = epoch_of(cls(items, 24, 4))[0]
        for modality in (0, 1):
            pids = [items[i][1] for i in indices(batch) if items[i][3] == modality]
            runs = [pid for n, pid in enumerate(pids) if n == 0 or pids[n - 1] != pid]
            assert len(runs) == len(set(runs))  # identity by identity


@pytest.mark.parametrize("cls", SAMPLERS)
def test_batches_depend_on_seed_and_epoch_alone(cls):
    items = make_items([(7, 5)] * 8)
    sampler = cls(items, 16, 4, seed=3)
    epochs = [epoch_of(sampler, epoch) for epoch in range(3)]
    # A resumed run, which starts at epoch 2.
    assert epoch_of(cls(items, 16, 4, seed=3), 2) == epochs[2]
    assert epochs[0] != epochs[1]
    assert epoch_of(cls(items, 16, 4, seed=4), 0) != epochs[0]
    seeds = [seed for batches in epochs for batch in batches for _, seed in batch]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("cls", SAMPLERS)
def test_global_generators_are_neither_read_nor_moved(cls):
    items = make_items([(7, 5)] * 8)
    expected = epoch_of(cls(items, 16, 4))
    random.seed(5), np.random.seed(5), torch.manual_seed(5)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert epoch_of(cls(items, 16, 4)) == expected
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert before == after


@pytest.mark.parametrize("cls", SAMPLERS)
@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_share_out_the_identities_of_the_same_batches(cls, world_size):
    items = make_items([(7, 5), (3, 0), (0, 9), (12, 1)] * 4)
    whole = epoch_of(cls(items, 32, 4, seed=1), 1)
    ranks = range(world_size)
    shares = [epoch_of(cls(items, 32, 4, seed=1, rank=rank, world_size=world_size), 1) for rank in ranks]
    for number, batch in enumerate(whole):
        parts = [share[number] for share in shares]
        assert sorted(sample for part in parts for sample in part) == sorted(batch)
        pids = [{items[i][1] for i in indices(part)} for part in parts]
        assert len(set.union(*pids)) == sum(map(len, pids))
        assert {len(part) for part in parts} == {32 // world_size}
        for part in parts:
            modalities = [items[i][3] for i in indices(part)]
            assert modalities == sorted(modalities)


def test_toolkit_triples_are_visible_images():
    items = [(f"{pid}_{n}.jpg", f"market1501_{pid}", "market1501_1") for pid in range(4) for n in range(6)]
    batches = epoch_of(CrossModalityIdentitySampler(items, 8, 2))
    assert len(batches) == 24 // 4
    assert {len({items[i][1] for i in indices(batch)}) for batch in batches} == {2}


def test_an_epoch_may_be_cut_and_begun_in_its_middle():
    items = make_items([(7, 5)] * 8)
    whole = epoch_of(CrossModalityIdentitySampler(items, 16, 4), 6)
    cut = EpochBatches(CrossModalityIdentitySampler(items, 16, 4), 3)
    assert epoch_of(cut, 6) == whole[:3] and len(cut) == 3
    for count, end in ((0, len(whole)), (99, len(whole)), (3, 3)):
        begun = EpochBatches(CrossModalityIdentitySampler(items, 16, 4), count)
        for step in range(end + 1):
            begun.set_epoch(6, step)
            assert list(begun) == whole[step:end]
            assert len(begun) == end


def test_the_sampler_is_found_by_name(cfg):
    cfg.SOLVER.IMS_PER_BATCH = 16
    cfg.DATALOADER.SAMPLER_TRAIN = "ModalityFreeIdentitySampler"
    items = make_items([(7, 5)] * 8)
    assert isinstance(
        build_sampler(cfg, items, 0, 0, 1).sampler, SAMPLER_REGISTRY["ModalityFreeIdentitySampler"]
    )
    cfg.DATALOADER.MAX_BATCHES_PER_EPOCH = 2
    assert len(build_sampler(cfg, items, 0, 0, 1)) == 2
    cfg.DATALOADER.SAMPLER_TRAIN = "TrainingSampler"
    with pytest.raises(ConfigError, match=r"SAMPLER_TRAIN names 'TrainingSampler'; .*CrossModalityIdent"):
        build_sampler(cfg, items, 0, 0, 1)


WRONG = {
    "not 2 K": (
        (CrossModalityIdentitySampler, 60, 4, 1),
        r"IMS_PER_BATCH is 60; .* multiple of 2 x DATALOADER.NUM_INSTANCE \(4\) = 8, such as 64",
    ),
    "not K": (
        (ModalityFreeIdentitySampler, 30, 4, 1),
        r"multiple of DATALOADER.NUM_INSTANCE \(4\) = 4, such as 32",
    ),
    "not by the processes": (
        (CrossModalityIdentitySampler, 24, 4, 2),
        r"multiple of 2 x DATALOADER.NUM_INSTANCE \(4\) x 2 processes = 16, such as 32",
    ),
    "too few identities": (
        (CrossModalityIdentitySampler, 64, 4, 1),
        r"IMS_PER_BATCH 64 with DATALOADER.NUM_INSTANCE 4 asks for 8 identities a batch, and the training "
        r"set has 5: set SOLVER.IMS_PER_BATCH to 40 or less, or raise DATALOADER.NUM_INSTANCE",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_batch_that_cannot_be_made_is_refused(case):
    (cls, batch_size, num_instances, world_size), message = WRONG[case]
    with pytest.raises(ConfigError, match=message):
        cls(make_items([(4, 4)] * 5), batch_size, num_instances, world_size=world_size)
