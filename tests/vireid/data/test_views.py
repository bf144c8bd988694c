"""Several views of an image in a training batch: INPUT.VISIBLE_FURTHER_VIEWS and that of infrared images."""

import pytest
import torch
from fastreid.utils import comm

from vireid import Modality
from vireid.data import build_train_loader, resized_images
from vireid.errors import ConfigError

from .layouts import write_sysu

FURTHER = [["ChannelExchange", "Flip"], []]


@pytest.fixture
def sysu(cfg, tmp_path):
    """A config with batches of 2 identities of a tiny SYSU-MM01, 2 visible and 2 infrared images each."""
    write_sysu(tmp_path, train=(1, 2, 5), val=(7,), test=(3, 4), images=2)
    cfg.DATASETS.NAMES = ("SYSUMM01",)
    cfg.INPUT.SIZE_TRAIN = [24, 12]
    cfg.INPUT.VISIBLE_TRANSFORMS = ("Flip", "PadCrop", "ColorJitter", "RandomErasing")
    cfg.INPUT.CHANNEL_EXCHANGE.PROB = 1.0
    cfg.SOLVER.IMS_PER_BATCH, cfg.DATALOADER.NUM_INSTANCE, cfg.DATALOADER.NUM_WORKERS = 8, 2, 0
    return cfg


def batches(cfg, epoch=0, step=0):
    loader = build_train_loader(cfg)
    loader.batch_sampler.set_epoch(epoch, step)
    return list(loader)


def assert_equal(ours, expected):
    assert len(ours) == len(expected) > 0
    for batch, other in zip(ours, expected):
        assert batch.keys() == other.keys()
        for key, value in other.items():
            assert torch.equal(batch[key], value) if torch.is_tensor(value) else batch[key] == value, key


def test_a_batch_has_the_views_of_a_modality_one_after_another(sysu):
    before = batches(sysu)
    assert all("views" not in batch for batch in before)
    sysu.INPUT.VISIBLE_FURTHER_VIEWS = FURTHER
    after = batches(sysu)
    assert len(after) == len(before)
    for batch, single in zip(after, before):
        assert batch["views"].tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [0] * 4
        assert batch["modalities"].tolist() == [0] * 12 + [1] * 4
        visible, infrared = range(4), range(4, 8)
        rows = torch.tensor([*visible, *visible, *visible, *infrared])
        for key in ("targets", "camids"):
            assert torch.equal(batch[key], single[key][rows])
        assert batch["img_paths"] == [single["img_paths"][row] for row in rows]
        # The first view is what it was without the others, to the last bit; so are the infrared images.
        assert torch.equal(batch["images"][batch["views"] == 0], single["images"])
        exchanged = batch["images"][4:8]
        assert torch.equal(exchanged, exchanged[:, :1].expand_as(exchanged))


def test_the_plain_view_is_the_resized_image_and_is_read_once(sysu, monkeypatch):
    sysu.INPUT.INFRARED_FURTHER_VIEWS = [[]]
    read = []
    original = resized_images.read_image
    monkeypatch.setattr(
        resized_images, "read_image", lambda path, *rest: read.append(path) or original(path, *rest)
    )
    found = batches(sysu)
    assert sorted(read) == sorted(path for batch in found for path in batch["img_paths"][:8])
    for batch in found:
        assert batch["views"].tolist() == [0] * 4 + [0] * 4 + [1] * 4
        for path, image in zip(batch["img_paths"][8:], batch["images"][8:]):
            kept = resized_images.ImageList([path], (24, 12), sysu.INPUT.INTERPOLATION)[0]
            assert torch.equal(image, kept)


def test_views_are_the_same_with_workers_and_a_cache_and_from_a_step_on(sysu, tmp_path):
    sysu.INPUT.VISIBLE_FURTHER_VIEWS = FURTHER
    expected = batches(sysu, epoch=1)
    assert_equal(batches(sysu, epoch=1, step=1), expected[1:])
    sysu.DATALOADER.NUM_WORKERS = 1
    assert_equal(batches(sysu, epoch=1), expected)
    sysu.DATALOADER.CACHE = str(tmp_path / "cache")
    for _ in range(2):  # while it is filled, and when it is full
        assert_equal(batches(sysu, epoch=1), expected)


def test_each_process_has_all_views_of_its_images(sysu, monkeypatch):
    sysu.INPUT.VISIBLE_FURTHER_VIEWS = FURTHER
    whole = batches(sysu)
    monkeypatch.setattr(comm, "get_world_size", lambda: 2)
    shares = []
    for rank in range(2):
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        shares.append(batches(sysu))
    for batch, *parts in zip(whole, *shares):
        for part in parts:
            assert part["views"].tolist() == [0, 0, 1, 1, 2, 2, 0, 0]
        for modality in Modality.VISIBLE, Modality.INFRARED:
            for view in range(3):
                chosen = [(p["modalities"] == modality) & (p["views"] == view) for p in parts]
                joined = torch.cat([p["images"][rows] for p, rows in zip(parts, chosen)])
                rows = (batch["modalities"] == modality) & (batch["views"] == view)
                assert torch.equal(joined, batch["images"][rows])


def test_an_unknown_transform_of_a_view_is_refused(sysu):
    sysu.INPUT.INFRARED_FURTHER_VIEWS = [["Flip"], ["Blur"]]
    with pytest.raises(ConfigError, match="INPUT.INFRARED_FURTHER_VIEWS names 'Blur'"):
        build_train_loader(sysu)
