"""Embeddings of images in any form, beside those of an evaluation."""

import json
import logging
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from configs import tiny_config
from galleries import MeanColors, mean_colors
from vireid import Embedder, Modality
from vireid.data import build_dataset, build_test_loader
from vireid.engine import load_for_evaluation
from vireid.engine.checkpoints.checkpoint import read_checkpoint
from vireid.engine.extraction import extract_features
from vireid.errors import CheckpointError, ConfigError, ImageError, StoreError
from vireid.export.model import export_model
from vireid.inference.exported import OnnxGraph
from vireid.inference.inputs import MAX_PIXELS, as_pillow, make_ready
from vireid.inference.network import default_device
from vireid.inference.stores.protocol import check_model
from vireid.preprocessing import Preprocessing

RNG = np.random.default_rng(0)
COLOR = RNG.integers(0, 256, (20, 10, 3), dtype=np.uint8)
GRAY = np.repeat(RNG.integers(0, 256, (20, 10, 1), dtype=np.uint8), 3, axis=2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A checkpoint whose stems differ, as after training."""
    torch.manual_seed(0)
    model = load_for_evaluation(tiny_config(DATASETS__TESTS=[], MODEL__WEIGHTS=""))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    path = tmp_path_factory.mktemp("weights") / "model.pth"
    torch.save({"model": model.state_dict()}, path)
    return path


def config(**overrides):
    return tiny_config(DATASETS__TESTS=[], **overrides)


def test_embeddings_are_those_of_the_evaluation(datasets, weights):
    overrides = {"TEST__FLIP__ENABLED": True, "INPUT__INTERPOLATION": "bilinear"}
    cfg = config(**overrides, MODEL__WEIGHTS=str(weights), TEST__IMS_PER_BATCH=8)
    items = build_dataset(cfg, "SYSUMM01").test[::5]
    loader = build_test_loader(cfg, items)
    features = extract_features(load_for_evaluation(cfg), loader, flip=True)["image"]
    expected = torch.nn.functional.normalize(features, dim=1).numpy()

    embedder = Embedder.from_config(config(**overrides), weights, "cpu", batch_size=8)
    modalities = [item.modality for item in items]
    assert {*modalities} == {Modality.VISIBLE, Modality.INFRARED}
    found = embedder.embed([item.path for item in items], modalities)
    assert found.dtype == np.float32 and found.shape == (len(items), embedder.dimension)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(embedder.embed([item.path for item in items]), expected, atol=1e-6)


WITHOUT_FASTREID = """
import importlib.util, json, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name.split(".")[0] == "fastreid" else found(name, *a)
import numpy as np
from vireid import Embedder
paths = json.loads(sys.argv[2])
for path in json.loads(sys.argv[1]):
    embedder = Embedder.from_exported(path, "cpu", batch_size=3)
    np.save(path + ".npy", embedder.embed(paths))
    print(embedder.fingerprint, embedder.dimension)
left = ("fastreid", "torchvision", "vireid.data", "vireid.engine", "vireid.modeling", "vireid.evaluation")
assert not [name for name in left if name in sys.modules]
"""


def test_exported_files_embed_alike_without_fastreid(datasets, weights, tmp_path, python):
    pytest.importorskip("onnxruntime")
    cfg = config(MODEL__WEIGHTS=str(weights), INPUT__INTERPOLATION="lanczos", TEST__FLIP__ENABLED=True)
    export_model(
        load_for_evaluation(cfg), tmp_path, Preprocessing.from_config(cfg), formats=("onnx", "torchscript")
    )
    embedder = Embedder.from_config(cfg, weights, "cpu")
    paths = [item.path for item in build_dataset(cfg, "SYSUMM01").test[::9]]
    files = [str(tmp_path / "model-both.onnx"), str(tmp_path / "model-both.pt")]
    run = python(WITHOUT_FASTREID, json.dumps(files), json.dumps(paths))
    assert run.returncode == 0, run.stderr
    # A store that the model has filled can be searched by the exported file.
    assert run.stdout.splitlines() == [f"{embedder.fingerprint} {embedder.dimension}"] * 2
    expected = embedder.embed(paths)
    for file in files:
        np.testing.assert_allclose(np.load(f"{file}.npy"), expected, atol=1e-4)


def test_a_file_of_one_modality_refuses_the_other(weights, tmp_path):
    cfg = config(MODEL__WEIGHTS=str(weights))
    export_model(
        load_for_evaluation(cfg),
        tmp_path,
        Preprocessing.from_config(cfg),
        formats=("torchscript",),
        modality="visible",
    )
    embedder = Embedder.from_exported(tmp_path / "model-visible.pt", "cpu")
    expected = Embedder.from_config(cfg, weights, "cpu").embed(COLOR, "visible")
    np.testing.assert_allclose(embedder.embed(COLOR), expected, atol=1e-4)
    message = r"given as ndarray is infrared, and model-visible\.pt embeds visible images alone; say"
    with pytest.raises(ImageError, match=message):
        embedder.embed(GRAY)
    Image.fromarray(GRAY).save(tmp_path / "gray.png")
    images, modalities = [COLOR, tmp_path / "gray.png", COLOR], ["visible", "auto", "visible"]
    ((_, ready, vectors),) = embedder.stream(images, modalities)  # the others are embedded
    assert [one.fault[:60] for one in ready] == ["", f"{tmp_path / 'gray.png'} is infrared, and"[:60], ""]
    np.testing.assert_allclose(vectors[[0, 2]], np.concatenate([expected, expected]), atol=1e-4)
    with pytest.raises(ConfigError, match="device is cuda:1, and PyTorch finds no GPU"):
        Embedder.from_exported(tmp_path / "model-visible.pt", "cuda:1")


def test_a_file_that_does_not_say_how_images_are_resized_needs_to_be_told(weights, tmp_path):
    cfg = config(MODEL__WEIGHTS=str(weights))
    export_model(load_for_evaluation(cfg), tmp_path, Preprocessing.from_config(cfg), formats=("torchscript",))
    bare = tmp_path / "bare.pt"
    torch.jit.save(torch.jit.load(str(tmp_path / "model-both.pt")), str(bare))
    with pytest.raises(
        CheckpointError, match=r"bare\.pt does not say how an image is resized: export the model"
    ):
        Embedder.from_exported(bare)
    told = Embedder.from_exported(bare, "cpu", preprocessing=Preprocessing.from_config(cfg))
    expected = Embedder.from_exported(tmp_path / "model-both.pt", "cpu")
    assert np.array_equal(told.embed([COLOR, GRAY]), expected.embed([COLOR, GRAY]))
    assert told.fingerprint != expected.fingerprint


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.onnx", "no file .*none.onnx"),
        ("model.bin", r"expected a file of `vireid export`, \*.onnx or \*.pt"),
        ("model.pt", "is no TorchScript file, or is damaged"),
        ("model.onnx", "is no ONNX file, or is damaged"),
    ],
)
def test_what_is_no_exported_file_is_refused(tmp_path, name, message):
    if not name.startswith("none"):
        (tmp_path / name).write_bytes(b"<html>")
    with pytest.raises(CheckpointError, match=message):
        Embedder.from_exported(tmp_path / name)


def test_a_fingerprint_tells_weights_and_preprocessing_apart(weights, tmp_path):
    def fingerprint(path=weights, **overrides):
        return Embedder.from_config(config(**overrides), path, "cpu").fingerprint

    content = read_checkpoint(weights)
    next(iter(content["model"].values()))[0] += 1e-3
    torch.save(content, tmp_path / "other.pth")
    others = [
        fingerprint(tmp_path / "other.pth"),
        fingerprint(INPUT__SIZE_TEST=[64, 40]),
        fingerprint(INPUT__INTERPOLATION="bilinear"),
        fingerprint(TEST__FLIP__ENABLED=True),
        fingerprint(MODEL__PIXEL_MEAN=[1.0, 2.0, 3.0]),
    ]
    assert len({fingerprint(), *others}) == 6
    assert fingerprint() == fingerprint(TEST__IMS_PER_BATCH=3) == fingerprint(MODEL__HEADS__NECK_FEAT="after")


def test_a_store_tells_architectures_of_the_same_weights_apart(weights, tmp_path):
    """By what they make of a test image; other precisions and exported files differ less in that."""

    def about(**overrides):
        return Embedder.from_config(config(**overrides), weights, "cpu").about()

    held = about()
    for overrides in ({"MODEL__HEADS__POOL_LAYER": "GlobalAvgPool"}, {"MODEL__BACKBONE__LAST_STRIDE": 2}):
        used = about(**overrides)
        assert used.fingerprint == held.fingerprint
        with pytest.raises(
            StoreError, match=r"of the same weights embeds otherwise \(cosine 0\.[89]\d+ for one"
        ):
            check_model("store", held, used)
    embedder = Embedder.from_config(config(), weights, "cpu")
    with torch.autocast("cpu", torch.bfloat16):
        inexact = embedder.about()
    assert inexact.probe != held.probe
    check_model("store", held, inexact)
    check_model("store", held, about(MODEL__HEADS__NECK_FEAT="after"))
    cfg = config(MODEL__WEIGHTS=str(weights))
    export_model(
        load_for_evaluation(cfg),
        tmp_path,
        Preprocessing.from_config(cfg),
        formats=("torchscript",),
        modality="infrared",
    )
    exported = Embedder.from_exported(tmp_path / "model-infrared.pt", "cpu").about()
    assert [*exported.probe] == ["infrared"]
    check_model("store", held, exported)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0])
def test_an_embedding_that_cannot_be_compared_is_refused(value, tmp_path):
    class Broken(MeanColors):
        def __call__(self, images, modalities):
            found = super().__call__(images, modalities)
            dark = images.reshape(len(images), -1).max(axis=1) < 60
            return np.where(dark[:, None], value, found)

    embedder = Embedder(Broken(), batch_size=2, threads=1)
    Image.fromarray(COLOR // 8).save(tmp_path / "dark.png")
    message = (
        r"mean colors makes of .*dark\.png an embedding of length (nan|inf|0\.0), which cannot be compared"
    )
    with pytest.raises(CheckpointError, match=message):
        embedder.embed([COLOR, COLOR, COLOR, tmp_path / "dark.png"])
    (tmp_path / "bad.png").write_bytes(b"")  # a file that cannot be read is another matter
    ((_, ready, vectors),) = embedder.stream([tmp_path / "bad.png"], ["auto"])
    assert ready[0].fault and np.isnan(vectors).all()


@pytest.mark.parametrize(("spread", "warned"), [(0, True), (120, False)])
def test_embeddings_that_are_nearly_equal_are_counted_in_a_warning(caplog, spread, warned):
    images = [
        np.clip(COLOR.astype(int) + spread * np.eye(3)[n % 3], 0, 255).astype(np.uint8) for n in range(6)
    ]
    mean_colors().embed(images)
    assert ("the embeddings of 6 images are nearly equal (mean cosine 1.0000)" in caplog.text) == warned


def forms(folder):
    """One picture in every form in which it may be given."""
    path = folder / "picture.png"
    Image.fromarray(COLOR).save(path)
    return [path, str(path), Image.fromarray(COLOR), COLOR, torch.from_numpy(COLOR).permute(2, 0, 1)]


def test_every_form_of_an_image_is_embedded_alike(tmp_path):
    embedder = mean_colors(batch_size=3)
    images = forms(tmp_path)
    together = embedder.embed(images, "visible")
    ready = np.asarray(Image.fromarray(COLOR).resize((4, 8), Image.Resampling.BICUBIC))
    plain = MeanColors()(ready.transpose(2, 0, 1)[None], np.zeros(1, np.int64))
    np.testing.assert_allclose(together, np.repeat(plain / np.linalg.norm(plain), 5, axis=0), atol=1e-6)
    for image in images:
        assert np.array_equal(embedder.embed(image, "visible"), together[:1])
    assert np.array_equal(embedder.embed(np.stack([COLOR, COLOR])), together[:2])
    assert np.array_equal(embedder.embed((image for image in images[:2]), "visible"), together[:2])
    assert embedder.embed([]).shape == (0, 12)


def test_images_keep_their_order_over_many_batches():
    images = [np.full((9, 5, 3), value, np.uint8) for value in RNG.integers(0, 256, 50)]
    embedder = mean_colors()
    found = embedder.embed(images)
    assert np.array_equal(found, np.concatenate([embedder.embed(image) for image in images]))


def test_auto_takes_three_equal_channels_for_infrared(tmp_path, caplog):
    tinted = np.clip(GRAY.astype(int) + [3, 0, 0], 0, 255).astype(np.uint8)
    Image.fromarray(GRAY).resize((100, 200)).save(tmp_path / "gray.jpg", quality=40)
    images = [COLOR, GRAY, GRAY[..., 0], Image.fromarray(GRAY[..., 0]), tmp_path / "gray.jpg", tinted]
    expected = ["visible", *["infrared"] * 4, "visible"]
    with caplog.at_level(logging.INFO, "fastreid.vireid.inference"):
        found = mean_colors().embed(images)
    assert "embedded 6 images: 2 visible, 4 infrared" in caplog.text
    assert np.array_equal(found, mean_colors().embed(images, expected))
    assert not np.array_equal(found, mean_colors().embed(images, "infrared"))


@pytest.mark.parametrize(
    ("images", "modality", "message"),
    [
        (
            [COLOR, COLOR, GRAY],
            "infrared",
            "2 of 3 images said to be infrared have color, such as an image given as ndarray",
        ),
        (
            [GRAY, GRAY, COLOR],
            "visible",
            "2 of 3 images said to be visible have no color, such as an image given as ndarray",
        ),
        ([GRAY, COLOR, COLOR], "visible", ""),  # one may have been taken in the dark
        ([GRAY, COLOR], ["infrared", "visible"], ""),
    ],
)
def test_another_modality_than_said_is_noticed(caplog, images, modality, message):
    mean_colors().embed(images, modality)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == bool(message) and message in "".join(warnings)


def write_bomb(path):
    """The header of an image of 60,000 x 60,000 pixels, in a few bytes."""
    Image.new("1", (8, 8)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(bytes(content))


def write_large(path):
    Image.new("1", (MAX_PIXELS // 8_000 + 1, 8_000)).save(path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b"<html>"), "it is a web page; accepted are JPEG, PNG, BMP"),
        (write_bomb, "could be decompression bomb"),
        (write_large, r"it has 8001 x 8000 pixels; at most 64,000,000 are read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, write, message):
    write(tmp_path / "bad.png")
    with pytest.raises(ImageError) as caught:
        mean_colors().embed([COLOR, tmp_path / "bad.png"])
    assert str(caught.value).startswith(f"{tmp_path}/bad.png: the image cannot be read (")
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (COLOR.astype(np.float32), r"an array \(20, 10, 3\) of float32; expected \(H, W, 3\) of uint8, RGB"),
        (np.zeros((3, 20, 10), np.uint8), r"an array \(3, 20, 10\) of uint8; expected"),
        (
            torch.zeros(3, 20, 10),
            r"a tensor \(3, 20, 10\) of torch.float32; expected \(3, H, W\) of torch.uint8",
        ),
        (Image.new("I;16", (4, 4)), "a Pillow image of mode I;16; expected 8 bits a channel"),
        (17, "an image is a int; expected a path, an image or an array"),
    ],
)
def test_an_image_of_another_form_is_refused(image, message):
    with pytest.raises(ImageError, match=message):
        mean_colors().embed([image])


@pytest.mark.parametrize(
    ("modality", "message"),
    [
        ("thermal", "modality is 'thermal'; expected visible, infrared or auto"),
        (["visible"], "modality names 1 for 2 images; give one for all, or one for each"),
        (Modality.MIXED, "modality is 'mixed'"),
    ],
)
def test_a_wrong_modality_is_refused(modality, message):
    with pytest.raises(ImageError, match=message):
        mean_colors().embed([COLOR, GRAY], modality)


def test_the_exif_data_say_when_and_how_a_picture_was_taken(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif.get_ifd(0x8769)[0x9003] = "2026:01:31 18:30:05"
    Image.fromarray(COLOR).save(tmp_path / "turned.png", exif=exif)
    ready = make_ready(tmp_path / "turned.png", "auto", Preprocessing((10, 20)))
    assert str(ready.taken) == "2026-01-31 18:30:05"
    assert np.array_equal(ready.pixels, np.rot90(COLOR, -1))


class NoSession(Exception):
    pass


def test_a_picture_is_turned_upright_as_its_file_is(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # turned by a quarter
    Image.fromarray(COLOR).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as picture:
        assert as_pillow(picture).tobytes() == as_pillow(tmp_path / "a.png").tobytes()
        assert as_pillow(picture).size == picture.size[::-1]


def test_threads_take_turns(weights):
    """A model has one layout for the batch that goes through its streams."""
    embedder = Embedder.from_config(config(), weights, "cpu")
    expected = {modality: embedder.embed([COLOR], modality) for modality in ("visible", "infrared")}
    assert not np.allclose(expected["visible"], expected["infrared"])

    def search(modality):
        return all(np.allclose(embedder.embed([COLOR], modality), expected[modality]) for _ in range(40))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(search, ["visible", "infrared"] * 2))


def test_each_process_embeds_on_a_gpu_of_its_own(tmp_path, monkeypatch):
    """Of onnxruntime, what it is asked for: there is no GPU here."""
    asked = {}

    def session(path, options, providers):
        asked["providers"] = providers
        raise NoSession

    (tmp_path / "model.onnx").touch()
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    for device, number in ((None, 1), ("cuda", 1), ("cuda:0", 0)):
        gpu = ("CUDAExecutionProvider", {"device_id": number})
        with pytest.raises(CheckpointError, match="NoSession"):
            OnnxGraph(tmp_path / "model.onnx", device)
        assert asked["providers"] == [gpu, "CPUExecutionProvider"]
    assert [default_device(device) for device in ("cuda", "cuda:0", "cpu")] == ["cuda:1", "cuda:0", "cpu"]
