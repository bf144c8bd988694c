import io
import logging
import random
from itertools import chain

import numpy as np
import pytest
import torch
from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.data.datasets.bases import ImageDataset
from fastreid.utils import comm
from PIL import Image

from vireid import Modality
from vireid.data import (
    TRANSFORM_REGISTRY,
    build_dataset,
    build_test_loader,
    build_train_loader,
)
from vireid.errors import ConfigError, DatasetError
from vireid.images import read_image

from .layouts import write_image, write_regdb, write_sysu

VISIBLE, INFRARED = Modality.VISIBLE, Modality.INFRARED


@pytest.fixture
def sysu(cfg, tmp_path):
    """A config that trains on, and tests, a tiny SYSU-MM01."""
    write_sysu(tmp_path, train=(1, 2, 5), val=(7,), test=(3, 4), images=2)
    cfg.DATASETS.NAMES = ("SYSUMM01",)
    cfg.INPUT.SIZE_TRAIN = [24, 12]
    cfg.INPUT.SIZE_TEST = [24, 12]
    cfg.INPUT.VISIBLE_TRANSFORMS = ("Flip", "PadCrop", "ColorJitter", "RandomErasing")
    cfg.SOLVER.IMS_PER_BATCH = 8
    cfg.DATALOADER.NUM_INSTANCE = 2
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.TEST.IMS_PER_BATCH = 5
    return cfg


@pytest.fixture(scope="module", autouse=True)
def toolkit_dataset():
    """A dataset of the toolkit's form: triples whose identities and cameras are text."""

    class Plaza(ImageDataset):
        def __init__(self, root="datasets", **kwargs):
            self.root = root
            super().__init__(lambda: self.images("plaza_{}"), list, lambda: self.images("{}"))

        def images(self, name):
            return [
                (f"{self.root}/plaza/{pid}_{number}.jpg", name.format(pid), name.format(1))
                for pid in (9, 10)
                for number in range(4)
            ]

    DATASET_REGISTRY.register(Plaza)
    yield
    del DATASET_REGISTRY._obj_map["Plaza"]


def batches_of(loader, epoch=0):
    loader.batch_sampler.set_epoch(epoch)
    return list(loader)


def assert_same_batches(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert one["img_paths"] == other["img_paths"]
        for key in ("images", "targets", "camids", "modalities"):
            assert torch.equal(one[key], other[key])


def test_training_batch(sysu, tmp_path):
    loader = build_train_loader(sysu)
    batches = batches_of(loader)
    assert len(batches) == len(loader) == 32 // 4  # 32 visible images, 2 identities of 2
    label = {1: 0, 2: 1, 5: 2, 7: 3}
    for batch in batches:
        assert batch["images"].shape == (8, 3, 24, 12) and batch["images"].dtype == torch.uint8
        assert batch["modalities"].tolist() == [0] * 4 + [1] * 4
        for path, target, camid, modality in zip(
            *(batch[key] for key in ("img_paths", "targets", "camids", "modalities"))
        ):
            camera, pid, _ = path.removeprefix(f"{tmp_path}/SYSU-MM01/").split("/")
            assert target == label[int(pid)]
            assert camid == int(camera[3]) - 1
            assert modality == (camera in ("cam3", "cam6"))
        assert all(batch[key].dtype == torch.int64 for key in ("targets", "camids", "modalities"))
    assert (loader.dataset.num_classes, loader.dataset.num_cameras) == (4, 6)
    assert [type(dataset).__name__ for dataset in loader.dataset.datasets] == ["SYSUMM01"]


def test_batches_are_the_same_for_any_number_of_workers_and_after_a_resume(sysu):
    expected = [batches_of(build_train_loader(sysu), epoch) for epoch in (0, 1)]
    sysu.DATALOADER.NUM_WORKERS = 2
    loader = build_train_loader(sysu)
    for epoch in (0, 1):  # the workers live on from one epoch to the next
        assert_same_batches(batches_of(loader, epoch), expected[epoch])
    assert_same_batches(batches_of(build_train_loader(sysu), 1), expected[1])
    assert not torch.equal(expected[0][0]["images"], expected[1][0]["images"])
    sysu.SEED = 1
    assert batches_of(build_train_loader(sysu))[0]["img_paths"] != expected[0][0]["img_paths"]


def test_a_sample_is_resized_and_augmented_by_its_modality_alone(sysu):
    calls = []

    @TRANSFORM_REGISTRY.register()
    class AddNoise:
        @classmethod
        def from_config(cls, cfg):
            return cls()

        def __call__(self, image):
            drawn = (torch.randint(50, (1,)).item(), random.randrange(50), np.random.randint(50))  # noqa: NPY002
            calls.append(drawn)
            return image // 2 + sum(drawn)

    try:
        sysu.INPUT.VISIBLE_TRANSFORMS = ("AddNoise",)
        sysu.INPUT.INFRARED_TRANSFORMS = ()
        train_set = build_train_loader(sysu).dataset
    finally:
        del TRANSFORM_REGISTRY._parts["AddNoise"]
    visible = next(i for i, item in enumerate(train_set.items) if item.modality == VISIBLE)
    infrared = next(i for i, item in enumerate(train_set.items) if item.modality == INFRARED)

    def resized(index):
        with Image.open(train_set.items[index].path) as image:
            pixels = np.asarray(image.resize((12, 24), Image.Resampling.BICUBIC))
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy())

    assert torch.equal(train_set[infrared, 5]["images"], resized(infrared))
    samples = [train_set[visible, seed]["images"] for seed in (5, 6, 5)]
    # All three generators are seeded for each sample.
    assert calls[0] == calls[2] and all(a != b for a, b in zip(calls[0], calls[1]))
    for drawn, sample in zip(calls, samples):
        assert torch.equal(sample, resized(visible) // 2 + sum(drawn))


@pytest.mark.parametrize(
    "change, found",
    [
        (lambda image: image.float(), r"torch.float32 \(3, 24, 12\)"),
        (lambda image: image[:, :5], r"torch.uint8 \(3, 5, 12\)"),
    ],
)
def test_a_transform_that_gives_another_form_is_named(sysu, change, found):
    class Enlarge:
        def __call__(self, image):
            return change(image)

    train_set = build_train_loader(sysu).dataset
    train_set.views = {modality: [[Enlarge()]] for modality in train_set.views}
    with pytest.raises(TypeError, match=f"the transform Enlarge gave {found}; expected torch.uint8"):
        train_set[0, 0]


def test_a_worker_fills_a_batch_in_shared_memory(sysu):
    sysu.DATALOADER.NUM_WORKERS = 1
    assert all(batch["images"].is_shared() for batch in batches_of(build_train_loader(sysu)))


def test_the_callers_generators_and_threads_are_left_as_they_were(sysu):
    sysu.INPUT.INFRARED_TRANSFORMS = sysu.INPUT.VISIBLE_TRANSFORMS

    def states():
        numpy_state = np.random.get_state()  # noqa: NPY002
        return random.getstate(), torch.get_rng_state().tolist(), numpy_state[1].tolist(), numpy_state[2]

    loader = build_train_loader(sysu)
    before, threads = states(), torch.get_num_threads()
    loader.dataset[0, 3]
    batches_of(loader)
    list(build_test_loader(sysu, build_dataset(sysu, "SYSUMM01").test))
    assert states() == before
    assert torch.get_num_threads() == threads


def test_identities_of_two_datasets_are_different_persons(sysu, tmp_path):
    write_regdb(tmp_path)
    sysu.DATASETS.NAMES = ("RegDB", "SYSUMM01", "Plaza")
    rng = np.random.default_rng(0)
    for path, _, _ in build_dataset(sysu, "Plaza").train:
        write_image(tmp_path / path, rng)
    train_set = build_train_loader(sysu).dataset
    assert train_set.num_classes == 2 + 4 + 2
    assert train_set.num_cameras == 2 + 6 + 1
    of_label = {}
    for item in train_set.items:
        of_label.setdefault(item.pid, set()).add(item.path.removeprefix(f"{tmp_path}/").split("/")[0])
    folders = {0: "RegDB", 1: "RegDB", **dict.fromkeys(range(2, 6), "SYSU-MM01"), 6: "plaza", 7: "plaza"}
    assert of_label == {label: {folder} for label, folder in folders.items()}
    assert {item.modality for item in train_set.items if item.pid > 5} == {VISIBLE}


def test_a_toolkit_dataset_trains_and_tests_as_visible_images(sysu, tmp_path):
    rng = np.random.default_rng(0)
    dataset = build_dataset(sysu, "Plaza")
    for path, _, _ in dataset.train:
        write_image(tmp_path / path, rng)
    sysu.DATASETS.NAMES = ("Plaza",)
    batches = batches_of(build_train_loader(sysu))
    assert {int(label) for batch in batches for label in batch["targets"]} == {0, 1}
    assert not any(batch["modalities"].any() for batch in batches)
    test = list(build_test_loader(sysu, dataset.gallery))
    assert (
        torch.cat([batch["targets"] for batch in test]).tolist() == [1] * 4 + [0] * 4
    )  # "10" comes before "9"


def test_test_loader_keeps_order_and_numbers(sysu):
    items = build_dataset(sysu, "SYSUMM01").test
    sysu.DATALOADER.NUM_WORKERS = 2
    batches = list(build_test_loader(sysu, items))
    assert [len(batch["targets"]) for batch in batches] == [5, 5, 5, 5, 4]
    assert [path for batch in batches for path in batch["img_paths"]] == [item.path for item in items]
    for number, key in enumerate(("targets", "camids", "modalities"), start=1):
        assert torch.cat([batch[key] for batch in batches]).tolist() == [item[number] for item in items]
    with Image.open(items[7].path) as image:
        expected = np.asarray(image.resize((12, 24), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    assert np.array_equal(batches[1]["images"][2].numpy(), expected)
    assert list(build_test_loader(sysu, [])) == []


@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_processes_share_out_the_test_images_in_order(sysu, world_size, monkeypatch):
    items = build_dataset(sysu, "SYSUMM01").test[:11]
    paths, sizes = [], []
    monkeypatch.setattr(comm, "get_world_size", lambda: world_size)
    for rank in range(world_size):
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        for batch in build_test_loader(sysu, items):
            paths += batch["img_paths"]
            sizes.append(len(batch["targets"]))
    assert paths == [item.path for item in items]
    assert sizes == [5, 5, 1]  # those of one process, whatever their number


def test_processes_train_on_different_identities_of_the_same_batch(sysu, monkeypatch):
    whole = batches_of(build_train_loader(sysu), 2)
    monkeypatch.setattr(comm, "get_world_size", lambda: 2)
    shares = []
    for rank in range(2):
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        shares.append(batches_of(build_train_loader(sysu), 2))
    for batch, *parts in zip(whole, *shares):
        joined = {
            (path, image.numpy().tobytes())
            for part in parts
            for path, image in zip(part["img_paths"], part["images"])
        }
        assert joined == {
            (path, image.numpy().tobytes()) for path, image in zip(batch["img_paths"], batch["images"])
        }
        assert not set(parts[0]["targets"].tolist()) & set(parts[1]["targets"].tolist())


def test_an_epoch_may_be_cut_short(sysu):
    whole = batches_of(build_train_loader(sysu))
    sysu.DATALOADER.MAX_BATCHES_PER_EPOCH = 3
    loader = build_train_loader(sysu)
    assert len(loader) == 3
    assert_same_batches(batches_of(loader), whole[:3])


def damage(path):
    """Cut a file in half: its header is whole, its pixels are not."""
    with open(path, "r+b") as file:
        file.truncate(len(file.read()) // 2)


DAMAGED = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no image"),
    "truncated": damage,
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_an_image_that_cannot_be_read_is_named(kind, tmp_path):
    path = tmp_path / "0001.jpg"
    write_image(path, np.random.default_rng(0), size=(90, 60))
    DAMAGED[kind](path)
    with pytest.raises(DatasetError) as caught:
        read_image(str(path))
    text = str(caught.value)
    assert text.startswith(f"{path}: the image cannot be read (")
    assert text.endswith("); replace it") and "\n" not in text


def test_images_become_upright_8_bit_rgb(tmp_path):
    gray = Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5))
    gray.save(tmp_path / "gray.png")
    assert np.array_equal(
        np.asarray(read_image(tmp_path / "gray.png")), np.asarray(gray)[..., None].repeat(3, 2)
    )
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side
    buffer = io.BytesIO()
    gray.save(buffer, "PNG", exif=exif)
    (tmp_path / "turned.png").write_bytes(buffer.getvalue())
    turned = np.asarray(read_image(tmp_path / "turned.png"))[..., 0]
    assert np.array_equal(turned, np.rot90(np.asarray(gray), -1))
    Image.fromarray(np.full((4, 5), 4000, dtype=np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DatasetError, match="not 8 bits a channel"):
        read_image(tmp_path / "deep.png")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_image_stops_training_and_testing_in_one_line(sysu, tmp_path, workers):
    for pid in (1, 3):
        damage(tmp_path / f"SYSU-MM01/cam3/{pid:04d}/0002.jpg")
    sysu.DATALOADER.NUM_WORKERS = workers
    message = r"cam3/000\d/0002\.jpg: the image cannot be read \(.*\); replace it, or "
    with pytest.raises(
        DatasetError, match=message + 'train without it by INPUT.UNREADABLE "skip"$'
    ) as caught:
        batches_of(build_train_loader(sysu))
    assert "\n" not in str(caught.value)
    sysu.INPUT.UNREADABLE = "skip"  # a test leaves nothing out
    with pytest.raises(DatasetError, match=message + "take it out of the test set"):
        list(build_test_loader(sysu, build_dataset(sysu, "SYSUMM01").test))


@pytest.mark.parametrize("workers", [0, 2])
def test_skip_puts_an_image_like_it_in_the_place_of_a_damaged_one(sysu, tmp_path, workers, caplog):
    bad = [str(tmp_path / f"SYSU-MM01/{name}") for name in ("cam3/0001/0002.jpg", "cam1/0005/0001.jpg")]
    expected = [batches_of(build_train_loader(sysu), epoch) for epoch in (0, 1)]
    for path in bad:
        damage(path)
    sysu.INPUT.UNREADABLE = "skip"
    sysu.DATALOADER.NUM_WORKERS = workers
    loader = build_train_loader(sysu)
    assert loader.dataset.num_unreadable == 0
    with caplog.at_level(logging.WARNING, "fastreid.vireid.data"):
        found = [batches_of(loader, epoch) for epoch in (0, 1)]
    replaced = 0
    for one, other in zip(chain(*found), chain(*expected)):
        for key in ("targets", "modalities"):
            assert torch.equal(one[key], other[key])
        for path, camid, wanted, image, original in zip(
            one["img_paths"], one["camids"], other["img_paths"], one["images"], other["images"]
        ):
            assert path not in bad
            assert path.split("/")[-3] == f"cam{camid + 1}"
            assert (path != wanted) == (wanted in bad)
            replaced += path != wanted
            if wanted not in bad:
                assert torch.equal(image, original)
    assert replaced > 2
    assert loader.dataset.num_unreadable == 2
    if workers == 0:  # a worker's records do not reach this process
        warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert sorted(message.split(":")[1].strip() for message in warnings) == sorted(bad)


def test_skip_gives_up_where_no_image_of_the_identity_is_left(sysu, tmp_path):
    for camera in (3, 6):
        for number in (1, 2):
            damage(tmp_path / f"SYSU-MM01/cam{camera}/0002/{number:04d}.jpg")
    sysu.INPUT.UNREADABLE = "skip"
    with pytest.raises(
        DatasetError, match="neither it nor any other infrared image of its identity can be read"
    ):
        batches_of(build_train_loader(sysu))


WRONG = {
    "combineall": ("DATASETS.COMBINEALL", True, "COMBINEALL True would train on the test identities"),
    "no names": ("DATASETS.NAMES", (), "DATASETS.NAMES is empty"),
    "dataset": (
        "DATASETS.NAMES",
        ("SYSU",),
        r"DATASETS.TESTS names 'SYSU'; did you mean SYSU\w+\?",
    ),
    "transform": ("INPUT.VISIBLE_TRANSFORMS", ("Blur",), "INPUT.VISIBLE_TRANSFORMS names 'Blur'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_config_is_refused_before_an_image_is_read(case, sysu):
    key, value, message = WRONG[case]
    sysu.merge_from_list([key, value])
    with pytest.raises(ConfigError, match=message):
        build_train_loader(sysu)
