"""Kept images are the images themselves, whatever happens to the file that holds them."""

import errno
import logging
import multiprocessing
import os
import re
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch

from cache_processes import read_shared
from processes import run_processes
from vireid.data import build_dataset, build_test_loader, build_train_loader, cache, resized_images
from vireid.data.cache import Layout
from vireid.data.resized_images import ImageList, check_cache
from vireid.errors import ConfigError

from .layouts import write_image, write_sysu

SIZE = (25, 13)  # no multiple of anything


@pytest.fixture(autouse=True)
def nothing_open(monkeypatch):
    """No cache is open: as at the start of a process."""
    monkeypatch.setattr(resized_images, "_open", type(resized_images._open)())
    return resized_images._open


@pytest.fixture
def paths(tmp_path):
    rng = np.random.default_rng(0)
    files = [tmp_path / "images" / f"{number}.jpg" for number in range(6)]
    for path in files:
        write_image(path, rng)
    return [str(path) for path in files]


@pytest.fixture
def expected(paths):
    """The images, read from their files."""
    plain = ImageList(paths, SIZE)
    return [plain[index] for index in range(len(paths))]


@pytest.fixture
def read(monkeypatch):
    """Which files were read, in order."""
    files = []
    original = resized_images.read_image

    def noted(path, *arguments):
        files.append(path)
        return original(path, *arguments)

    monkeypatch.setattr(resized_images, "read_image", noted)
    return files


def opened(paths, place, filled=False):
    """A list that keeps its images at ``place``, as a new process opens it."""
    resized_images._open.clear()
    kept = ImageList(paths, SIZE, cache=str(place))
    if filled:
        assert [kept[index] for index in range(len(paths))]
    return kept


def assert_same(found, expected):
    assert all(torch.equal(found[index], image) for index, image in enumerate(expected))


def file_of(folder):
    (path,) = folder.glob("*.images")
    return path


@pytest.mark.parametrize("place", ["ram", "folder"])
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_with_and_without_a_cache(place, workers, cfg, tmp_path, monkeypatch):
    write_sysu(tmp_path)
    cfg.DATASETS.NAMES, cfg.INPUT.SIZE_TRAIN, cfg.INPUT.SIZE_TEST = ("SYSUMM01",), [24, 12], [20, 10]
    cfg.INPUT.VISIBLE_TRANSFORMS = ("RandomGrayscale", "PadCrop", "Flip", "RandomErasing")
    cfg.SOLVER.IMS_PER_BATCH, cfg.DATALOADER.NUM_INSTANCE, cfg.TEST.IMS_PER_BATCH = 8, 2, 5
    cfg.DATALOADER.NUM_WORKERS = 0

    def everything():
        train, test = build_train_loader(cfg), build_test_loader(cfg, build_dataset(cfg, "SYSUMM01").test)
        for epoch in (0, 1):
            train.batch_sampler.set_epoch(epoch)
            yield from train
        for _ in (0, 1):
            yield from test

    plain = list(everything())
    cfg.DATALOADER.NUM_WORKERS = workers
    cfg.DATALOADER.CACHE = "ram" if place == "ram" else str(tmp_path / "kept")
    for _ in range(2):  # the second time, images are there already
        for found, batch in zip(everything(), plain, strict=True):
            assert found["img_paths"] == batch["img_paths"]
            for key in ("images", "targets", "camids", "modalities"):
                assert torch.equal(found[key], batch[key])
    assert [len(kept) for kept in resized_images._open.values()] == [
        48,
        24,
    ]  # all, also those that workers read


def test_a_file_is_read_once_and_then_never(paths, expected, tmp_path, read):
    kept = opened(paths, tmp_path / "kept")
    for _ in range(2):
        assert_same(kept, expected)
    assert read == paths
    assert_same(opened(paths, tmp_path / "kept"), expected)
    assert read == paths


def test_a_changed_file_is_read_again(paths, expected, tmp_path, read):
    opened(paths, tmp_path / "kept", filled=True)
    read.clear()
    os.utime(paths[1], ns=(0, 0))
    write_image(tmp_path / "images" / "2.jpg", np.random.default_rng(9), size=(60, 30))
    found = opened(paths, tmp_path / "kept")
    assert torch.equal(found[2], ImageList(paths, SIZE)[2]) and not torch.equal(found[2], expected[2])
    assert torch.equal(found[0], expected[0]) and torch.equal(found[1], expected[1])
    assert read[0] == paths[2] and read[-1] == paths[1] and paths[0] not in read


def test_wherever_a_process_is_killed_the_next_one_gives_the_same_images(
    paths, expected, tmp_path, monkeypatch
):
    class Killed(BaseException):
        """The process is gone."""

    left = [0]
    write = os.pwrite

    def interrupted(descriptor, content, offset):
        # Pieces are written as the system likes, and the last one in part.
        piece = bytes(content)[: min(100, left[0])]
        if not piece:
            raise Killed
        left[0] -= len(piece)
        return write(descriptor, piece, offset)

    opened(paths, tmp_path / "kept")
    for budget in (0, 1, 400, 975, 976, 980, 991, 992, 1500, 3000, 5000):
        left[0] = budget
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(os, "pwrite", interrupted)
            opened(paths, tmp_path / f"kept{budget // 2000}", filled=True)
        found = opened(paths, tmp_path / f"kept{budget // 2000}")
        assert torch.equal(found[0], expected[0])
    assert_same(found, expected)


def test_pixels_that_were_lost_or_changed_are_read_again(paths, expected, tmp_path, read):
    opened(paths, tmp_path / "kept", filled=True)
    layout = Layout(paths, SIZE, "bicubic")
    with open(file_of(tmp_path / "kept"), "r+b") as file:
        file.seek(layout.pixels + 2 * layout.image_bytes)
        file.write(bytes(layout.image_bytes))  # a page that the disk never got
        file.seek(layout.pixels + 5 * layout.image_bytes - 1)
        (last,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([last ^ 1]))
    read.clear()
    assert_same(opened(paths, tmp_path / "kept"), expected)
    assert read == [paths[2], paths[4]]


def spoil_header(path):
    with open(path, "r+b") as file:
        file.write(b"\0")


def spoil_padding(path):
    with open(path, "r+b") as file:
        file.seek(2000)
        file.write(b"\n")


def other_version(path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"Pillow": "', b'"Pillow": "0', 1)[: len(content)])


FAULTS = {
    "damaged header": (spoil_header, r"its header is damaged"),
    "a line break in the header": (spoil_padding, r"its header is damaged"),
    "cut off": (lambda path: os.truncate(path, 5000), r"it has 5000 bytes, expected \d+"),
    "empty": (lambda path: os.truncate(path, 0), r"its header is damaged"),
    "another Pillow": (other_version, r'its header is .*"Pillow": "0.*, expected .*"Pillow": "'),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_cache_that_does_not_fit_is_made_anew_with_one_line(fault, paths, expected, tmp_path, caplog):
    opened(paths, tmp_path / "kept", filled=True)
    spoil, message = FAULTS[fault]
    spoil(file_of(tmp_path / "kept"))
    with caplog.at_level(logging.WARNING, "fastreid.vireid.data"):
        found = opened(paths, tmp_path / "kept")
    assert len(found.cache) == 0
    (record,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert record.message.startswith(f"DATALOADER.CACHE: {file_of(tmp_path / 'kept')} does not fit (")
    assert record.message.endswith("is made anew") and "\n" not in record.message
    assert re.search(message, record.message)
    assert_same(found, expected)
    assert len(opened(paths, tmp_path / "kept").cache) == len(paths)


def test_lists_sizes_and_filters_have_caches_of_their_own(paths, tmp_path):
    opened(paths, tmp_path / "kept", filled=True)
    resized_images._open.clear()
    kept = str(tmp_path / "kept")
    others = [
        ImageList(paths[::-1], SIZE, cache=kept),
        ImageList(paths, (13, 25), cache=kept),
        ImageList(paths, SIZE, "lanczos", cache=kept),
    ]
    assert [len(other.cache) for other in others] == [0, 0, 0]
    assert len(list((tmp_path / "kept").glob("*.images"))) == 4


def test_a_full_disk_is_said_once_and_images_come_from_their_files(
    paths, expected, tmp_path, monkeypatch, caplog
):
    kept = opened(paths, tmp_path / "kept")
    assert torch.equal(kept[0], expected[0])

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with caplog.at_level(logging.WARNING, "fastreid.vireid.data"):
        for _ in range(2):
            assert_same(kept, expected)
    assert [record.message for record in caplog.records] == [
        f"DATALOADER.CACHE: {file_of(tmp_path / 'kept')} cannot be written (No space left on device); what "
        "is not in it is read from the image files"
    ]
    assert len(kept.cache) == 1


def test_a_disk_without_place_for_a_header_keeps_nothing(paths, expected, tmp_path, monkeypatch, caplog):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with caplog.at_level(logging.WARNING, "fastreid.vireid.data"):
        kept = opened(paths, tmp_path / "kept")
    assert [record.message for record in caplog.records] == [
        "DATALOADER.CACHE: images are not kept (No space left on device)"
    ]
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [".lock"]
    assert_same(kept, expected)


def test_what_does_not_fit_into_memory_or_on_the_disk_is_said_at_the_start(
    paths, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(resized_images, "_free_memory", lambda: 1000)
    monkeypatch.setattr(resized_images.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
    with caplog.at_level(logging.WARNING, "fastreid.vireid.data"):
        assert opened(paths, "ram").cache is None
        assert opened(paths, tmp_path / "kept").cache is not None
    assert [record.message for record in caplog.records] == [
        "DATALOADER.CACHE: images are not kept (they take 0.0 GB of memory, and 0.0 GB are free; a folder on "
        "a fast disk does as well)",
        f"DATALOADER.CACHE: {tmp_path / 'kept'} has 0.0 GB free, and all images take 0.0 GB more; those that "
        "find no place are read from their files",
    ]


@pytest.mark.parametrize("version", [1, 2])
def test_the_limits_of_the_groups_above_a_process_count(version, tmp_path):
    """A job's limit within a container's, in both layouts of Linux."""
    names = {1: resized_images.VERSION_1, 2: resized_images.VERSION_2}[version]
    root = tmp_path / "memory" if version == 1 else tmp_path
    for folder, limit, used, files in (
        ("", "1000", "500", "100"),
        ("jobs", "max", "300", "0"),
        ("jobs/7", 800, 300, 0),
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / names[0]).write_text(f"{limit}\n")
        (root / folder / names[1]).write_text(f"{used}\n")
        (root / folder / "memory.stat").write_text(f"anon 5\n{names[2]} {files}\n")
    process = tmp_path / "cgroup"
    process.write_text("3:cpu:/other\n4:memory,hugetlb:/jobs/7\n" if version == 1 else "0::/jobs/7\n")
    assert resized_images._free_of_groups(tmp_path, process) == [500, 600]
    assert resized_images._free_of_groups(tmp_path, tmp_path / "none") == []


def test_memory_that_other_lists_will_fill_is_not_given_twice(paths, monkeypatch):
    length = Layout(paths, SIZE, "bicubic").length
    monkeypatch.setattr(resized_images, "_free_memory", lambda: 2 * length - 1)
    first = ImageList(paths, SIZE, cache="ram")
    assert ImageList(paths[::-1], SIZE, cache="ram").cache is None
    assert [first[index] for index in range(len(paths))]
    monkeypatch.setattr(resized_images, "_free_memory", lambda: 2 * length - 6 * 975)  # what the first took
    assert ImageList(paths[::-1], SIZE, cache="ram").cache is not None


def test_a_place_that_nothing_can_be_written_to_is_refused(paths):
    with pytest.raises(
        ConfigError, match=r"DATALOADER.CACHE is '.*0.jpg', and nothing can be written there \("
    ):
        check_cache(paths[0])


def test_processes_that_fill_a_cache_at_once_agree(paths, expected, tmp_path):
    context = multiprocessing.get_context("fork")
    kept = opened(paths, tmp_path / "kept")

    def fill(own):
        mine = opened(paths, tmp_path / "kept") if own else kept
        assert_same(mine, expected)

    children = [context.Process(target=fill, args=(own,)) for own in (False, True, True)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert len(kept.cache) == len(paths)


@pytest.mark.parametrize("place", ["ram", "folder"])
def test_a_spawned_worker_has_the_same_memory(place, paths, expected, tmp_path):
    kept = opened(paths, place if place == "ram" else tmp_path / place)
    copy = ForkingPickler.loads(ForkingPickler.dumps(kept))
    assert torch.equal(copy[3], expected[3])
    assert torch.equal(kept.cache.get(3), expected[3])


def test_the_processes_of_a_run_share_the_memory(paths, expected, tmp_path):
    run_processes(read_shared, 2, tmp_path, paths, SIZE)
    for rank in range(2):
        held, found = torch.load(tmp_path / f"{rank}.pth")
        assert held == 3  # what the first process read
        assert_same(found, expected)


def test_kept_images_cannot_be_changed_by_a_transform_that_writes_to_its_input(cfg, tmp_path):
    class Darken:
        def __call__(self, image):
            return image.zero_()

    write_sysu(tmp_path)
    cfg.DATASETS.NAMES, cfg.INPUT.SIZE_TRAIN = ("SYSUMM01",), [24, 12]
    cfg.SOLVER.IMS_PER_BATCH, cfg.DATALOADER.NUM_INSTANCE, cfg.DATALOADER.NUM_WORKERS = 8, 2, 0
    cfg.DATALOADER.CACHE = "ram"
    train_set = build_train_loader(cfg).dataset
    train_set.views = {modality: [[Darken()]] for modality in train_set.views}
    before = train_set.images[0].clone()
    assert before.any() and not train_set[0, 0]["images"].any()
    assert torch.equal(train_set.images[0], before)


def test_an_interrupted_creation_leaves_nothing_in_the_way(paths, expected, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):

        def interrupted(*arguments):
            raise KeyboardInterrupt

        patch.setattr(cache.os, "replace", interrupted)
        opened(paths, tmp_path / "kept")
    assert_same(opened(paths, tmp_path / "kept"), expected)
    assert sorted(path.suffix for path in (tmp_path / "kept").iterdir()) == ["", ".images"]
