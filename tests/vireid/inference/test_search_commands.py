"""``vireid search`` from indexing to deleting, with an exported model."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from configs import PROJECTS, TINY, tiny_config
from vireid import Embedder
from vireid.engine import load_for_evaluation
from vireid.inference import indexing


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Arguments that name a model."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.pth"
    cfg = tiny_config(DATASETS__TESTS=[], MODEL__WEIGHTS="")
    torch.save({"model": load_for_evaluation(cfg).state_dict()}, path)
    options = [str(item) for pair in TINY.items() if pair[0] != "MODEL.HEADS.NUM_CLASSES" for item in pair]
    return ["--config-file", str(PROJECTS / "VIReID/configs/sysu.yml"), "MODEL.WEIGHTS", str(path), *options]


@pytest.fixture
def indexed(command, model, generated_root, tmp_path):
    """What indexing the generated SYSU-MM01 prints; the store is tmp_path/store."""
    gallery = generated_root / "SYSU-MM01"
    (tmp_path / "photos").symlink_to(gallery)
    status, printed, error = command(
        "search", "index", "--gallery", tmp_path / "photos", "--store", tmp_path / "store", *model
    )
    assert status == 0, error
    return printed


def test_an_index_that_ctrl_c_ends_is_one_line_and_goes_on(
    command, model, generated_root, tmp_path, monkeypatch
):
    keep, shares = indexing._keep, iter(range(10))

    def stop(*arguments):
        if next(shares) == 1:
            raise KeyboardInterrupt
        keep(*arguments)

    gallery = generated_root / "SYSU-MM01/cam1"
    words = ["search", "index", "--gallery", gallery, "--store", tmp_path / "store", *model]
    with monkeypatch.context() as patch:
        patch.setattr(indexing, "AT_ONCE", 5)
        patch.setattr(indexing, "_keep", stop)
        status, printed, error = command(*words)
    assert (status, printed) == (130, "")
    assert error.splitlines()[-1] == "interrupted; the same command goes on where it was"
    assert "Traceback" not in error
    count = len(list(gallery.rglob("*.jpg")))
    assert f"{count - 5} images added, 0 replaced, 5 were there" in command(*words)[1]


def test_from_a_folder_to_who_it_is(command, model, indexed, generated_root, tmp_path):
    images = sorted((generated_root / "SYSU-MM01").rglob("*.jpg"))
    store = tmp_path / "store"
    others = sum(
        path.is_file() and path.suffix != ".jpg" for path in (generated_root / "SYSU-MM01").rglob("*")
    )
    assert indexed == (
        f"{store}: {len(images)} images added, 0 replaced, 0 were there, 0 skipped; {others} other files\n"
    )
    night = generated_root / "SYSU-MM01/cam3/0001/0001.jpg"
    query = ["search", "query", "--store", store, "--image", night, "--camera", "1", "2", "--top", "4"]
    status, printed, error = command(*query, "--json", "--figure", tmp_path / "found.png")
    assert status == 0, error
    found = json.loads(printed)
    assert [match["rank"] for match in found] == [1, 2, 3, 4]
    assert {match["camera"] for match in found} <= {"1", "2"} and found[0]["identity"].startswith("00")

    config, weights = model[1], model[3]
    embedder = Embedder.from_config(config, weights, opts=model[4:])
    paths = [str(path) for path in images if path.parts[-3] in ("cam1", "cam2")]
    scores = embedder.embed(paths) @ embedder.embed(night)[0]
    expected = np.sort(scores)[::-1][:4]
    np.testing.assert_allclose([match["score"] for match in found], expected, atol=1e-5)
    assert [os.path.realpath(match["path"]) for match in found] == [paths[n] for n in np.argsort(-scores)[:4]]
    with Image.open(tmp_path / "found.png") as picture:
        assert picture.width > picture.height

    status, printed, error = command(*query)
    header, first, *rest = printed.splitlines()
    assert header.split() == ["rank", "score", "identity", "camera", "track", "time", "modality", "path"]
    assert first.split()[:2] == ["1", f"{found[0]['score']:.3f}"] and len(rest) == 3
    assert command(*query[:6], "--camera", "17")[1] == (
        "no image meets the conditions; cameras in the store: 1, 2, 3, 4, 5, 6\n"
    )

    status, printed, _ = command("search", "info", "--store", store)
    lines = dict(line.split(None, 1) for line in printed.splitlines() if len(line.split(None, 1)) == 2)
    assert lines["images"] == f"{len(images):,}" and lines["search"].startswith("exact")
    assert lines["fingerprint"] == embedder.fingerprint
    assert json.loads(command("search", "info", "--store", store, "--json")[1])["model"] == "model.pth"

    status, printed, error = command("search", "calibrate", "--store", store, "--false-alarms", "0.3", "0.5")
    assert status == 0, error
    header, first, *rest, last = printed.splitlines()
    assert header.split()[:4] == ["queries", "among", "false", "alarms"] and last.startswith(f"{store} keeps")
    assert first.split()[:4] == ["visible", "any", "30", "%"]
    asked = [*query[:-1], "9", "--by", "identity", "--false-alarms", "0.5"]
    found = json.loads(command(*asked, "--json")[1])
    _, *lines, last = command(*asked)[1].splitlines()
    persons = [match["identity"] for match in found]
    assert len(lines) == len(persons) == len({*persons}) > 2
    assert [line.split()[0] == "nobody" for line in lines] == [match["nobody"] for match in found]
    assert last.startswith("nobody, at a false alarm rate of 50 %: not above ")
    several = ["search", "query", "--store", store, "--image", night, night.with_name("0002.jpg"), "--json"]
    assert json.loads(command(*several)[1])[0]["score"] > 0.5

    status, printed, error = command("search", "delete", "--store", store, "--identity", "0001")
    gone = [path for path in images if path.parts[-2] == "0001"]
    left = len(images) - len(gone)
    assert printed == f"{store}: {len(gone)} images deleted; it has {left} now\n"
    add = ["search", "add", "--store", store, "--image", night, gone[0], "--identity", "kim"]
    assert command(*add)[1] == f"{store}: 2 images added; it has {left + 2} now\n"
    match = json.loads(
        command("search", "query", "--store", store, "--image", night, "--top", 1, "--json")[1]
    )
    assert match[0]["identity"] == "kim" and match[0]["score"] == pytest.approx(1, abs=1e-4)


def error_of(result):
    status, printed, error = result
    assert status == 2 and printed == "" and error.count("\n") == 1
    return error


def test_errors_are_one_line(command, model, indexed, tmp_path):
    store = tmp_path / "store"
    (tmp_path / "bad.jpg").write_bytes(b"<html>")
    (tmp_path / "empty").mkdir()
    query = ["search", "query", "--store", store, "--image", tmp_path / "bad.jpg"]
    assert "bad.jpg: the image cannot be read (it is a web page" in error_of(command(*query))
    query[3] = tmp_path / "nowhere"
    assert "is no store, and no model is named to make one; name it: --config-file" in error_of(
        command(*query)
    )
    wrong = ["search", "index", "--gallery", tmp_path / "nowhere", "--store", tmp_path / "new", *model]
    assert "nowhere is no folder; --gallery names the folder" in error_of(command(*wrong))
    assert not (tmp_path / "new").exists()
    index = ["search", "index", "--gallery", tmp_path / "empty", "--store", store]
    assert "empty holds no images" in error_of(command(*index))
    assert "MODEL.DEVICE is a setting of a config, and there is no --config-file" in error_of(
        command(*index, "MODEL.DEVICE", "cpu")
    )
    both = error_of(command(*index, "--exported", "model.onnx", *model))
    assert "--config-file and --exported name two models; give one of them" in both
    assert "MODEL.DEVICE is a setting of a config, and --exported takes none" in error_of(
        command(*index, "--exported", "model.onnx", "MODEL.DEVICE", "cpu")
    )
    other = [*model, "INPUT.INTERPOLATION", "bilinear"]
    assert "they cannot be compared; use that model, or index the gallery" in error_of(
        command(*index, *other)
    )
    delete = ["search", "delete", "--store", store]
    assert "nothing says what to delete" in error_of(command(*delete))
    assert "--missing stands alone" in error_of(command(*delete, "--missing", "--camera", "1"))


def test_a_server_that_does_not_answer_is_said(command):
    pytest.importorskip("pymilvus")
    from vireid.inference.stores import milvus

    address = "http://127.0.0.1:9"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(milvus, "TIMEOUT", 0.5)
        error = error_of(command("search", "info", "--store", address))
    assert error.startswith(f"error: {address}: Milvus does not do what it is asked for (")
    assert error.endswith("is it running, and is the address right?\n")


def test_a_store_whose_model_is_gone_asks_for_one(command, indexed, model, generated_root, tmp_path):
    weights = model[3]
    os.rename(weights, f"{weights}.moved")
    try:
        image = next((generated_root / "SYSU-MM01/cam3").rglob("*.jpg"))
        query = ["search", "query", "--store", tmp_path / "store", "--image", image]
        assert f"was filled by the model of {weights}, and this file is gone; name it" in error_of(
            command(*query)
        )
        named = [model[0], model[1], "MODEL.WEIGHTS", f"{weights}.moved", *model[4:]]
        assert command(*query, *named)[0] == 0
    finally:
        os.rename(f"{weights}.moved", weights)
