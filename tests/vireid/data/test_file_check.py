"""Every listed image file is looked at before a training."""

import logging
import os
import re

import numpy as np
import pytest
from fastreid.utils import comm
from PIL import Image

from vireid.data import build_dataset, build_train_loader
from vireid.data.file_check import check_files, file_fault, find_faults
from vireid.data.image_scan import look_at
from vireid.errors import DatasetError
from vireid.images import read_image

from .layouts import write_sysu

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 30, 3), dtype=np.uint8))
FORMATS = ["JPEG", "PNG", "BMP"]


@pytest.fixture
def sysu(cfg, tmp_path):
    """A config of a tiny SYSU-MM01, and its folder."""
    folder = write_sysu(tmp_path)
    cfg.DATASETS.NAMES = ("SYSUMM01",)
    cfg.SOLVER.IMS_PER_BATCH, cfg.DATALOADER.NUM_INSTANCE, cfg.DATALOADER.NUM_WORKERS = 8, 2, 0
    return cfg, folder


def check(cfg):
    train_set = build_train_loader(cfg).dataset
    check_files(cfg, train_set, {"SYSUMM01": build_dataset(cfg, "SYSUMM01")})
    return train_set


@pytest.mark.parametrize("kind", FORMATS)
def test_a_whole_file_has_no_fault_and_one_that_is_cut_off_has(kind, tmp_path):
    path = tmp_path / "image"
    NOISE.save(path, kind)
    assert file_fault(str(path)) == ""
    content = path.read_bytes()
    path.write_bytes(content + bytes(1000))  # what follows an image does no harm
    assert file_fault(str(path)) == ""
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(content[: int(share * len(content))])
        assert file_fault(str(path)).startswith(f"{path}: the image cannot be read (")


@pytest.mark.parametrize("mode, fault", [("L", False), ("I;16", True)])
def test_a_channel_of_sixteen_bits_is_named_before_training(mode, fault, tmp_path):
    path = tmp_path / "image.png"
    Image.new(mode, (30, 60)).save(path)
    assert ("not 8 bits a channel" in file_fault(str(path))) == fault


@pytest.mark.parametrize(
    "content, reason",
    [(b"", "it is empty"), (b"%!PS-Adobe", "it is PostScript; accepted are JPEG, PNG, BMP")],
)
def test_a_file_of_no_image_is_named_for_what_it_is(content, reason, tmp_path):
    path = tmp_path / "0001.jpg"
    path.write_bytes(content)
    assert file_fault(str(path), "repair it") == f"{path}: the image cannot be read ({reason}); repair it"
    path.unlink()
    assert "No such file or directory" in file_fault(str(path))


def test_a_damaged_training_image_is_named_with_what_to_do(sysu):
    cfg, folder = sysu
    for number in (1, 2):
        (folder / f"cam3/0005/000{number}.jpg").write_bytes(b"")
    with pytest.raises(DatasetError) as caught:
        check(cfg)
    assert str(caught.value) == (
        f"{folder}/cam3/0005/0001.jpg: the image cannot be read (it is empty); replace it, or train without "
        f'it by INPUT.UNREADABLE "skip"; 1 more training images cannot be read: {folder}/cam3/0005/0002.jpg'
    )
    cfg.INPUT.CHECK_FILES = False
    check(cfg)


def test_a_damaged_test_image_is_named_before_training_and_cannot_be_skipped(sysu):
    cfg, folder = sysu
    cfg.INPUT.UNREADABLE = "skip"
    (folder / "cam6/0003/0002.jpg").write_bytes(b"no image")
    with pytest.raises(DatasetError) as caught:
        check(cfg)
    assert str(caught.value) == (
        f"{folder}/cam6/0003/0002.jpg: the image cannot be read (it is no image: it begins with b'no image'; "
        "accepted are JPEG, PNG, BMP); replace it, or take it out of the test set (a test leaves out nothing "
        "by itself)"
    )


def test_skipped_training_images_are_counted_at_the_start(sysu, caplog):
    cfg, folder = sysu
    cfg.INPUT.UNREADABLE = "skip"
    bad = [f"{folder}/cam{camera}/0005/0001.jpg" for camera in (1, 2, 3, 4)]
    for path in bad:
        open(path, "w").close()
    with caplog.at_level(logging.WARNING, "fastreid.vireid.data"):
        train_set = check(cfg)
    assert train_set.num_unreadable == 4
    assert [record.message for record in caplog.records] == [
        'INPUT.UNREADABLE "skip": 4 training images cannot be read, and others take their place: '
        f"{', '.join(bad[:3])}, ..."
    ]
    indices = [index for index, item in enumerate(train_set.items) if item.path in bad]
    replaced = [train_set[index, 0] for index in indices]
    for index, sample in zip(indices, replaced):
        assert sample["img_paths"] not in bad
        assert (sample["targets"], sample["modalities"]) == train_set.items[index][1::2]
    assert len(caplog.records) == 1  # they are not read again


@pytest.mark.parametrize("count", [1, 63, 64, 200])
def test_the_processes_share_the_files(count, tmp_path, monkeypatch):
    paths = [str(tmp_path / str(number)) for number in range(count)]
    alone = find_faults(paths, "replace it", "test")
    assert list(alone) == list(range(count))
    shares = []
    monkeypatch.setattr(comm, "get_world_size", lambda: 3)
    monkeypatch.setattr(comm, "all_gather", lambda found: [found])
    for rank in range(3):
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        shares.append(find_faults(paths, "replace it", "test"))
    assert sum(map(len, shares)) == count
    assert {place: fault for share in shares for place, fault in share.items()} == alone


def test_a_pipe_in_the_place_of_an_image_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "image.jpg")
    words = "the image cannot be read .it is no regular file, but a pipe, a socket or a device."
    assert re.search(words, file_fault(str(tmp_path / "image.jpg")))
    assert re.search(words, look_at(str(tmp_path / "image.jpg"), True).fault)
    with pytest.raises(DatasetError, match=words):
        read_image(tmp_path / "image.jpg")
