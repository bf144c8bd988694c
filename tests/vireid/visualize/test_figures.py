"""The commands that draw: which images, which file, and what is refused before anything is computed."""

import json

import numpy as np
import pytest
from PIL import Image

from configs import tiny_config
from vireid.errors import ConfigError, UserError
from vireid.visualize import style
from vireid.visualize.attention_pairs import drawn_pairs
from vireid.visualize.curves import curves_of_runs, run_names
from vireid.visualize.embedding import embedding_figure, project
from vireid.visualize.image_set import ImageSet, chosen_images
from vireid.visualize.style import check_figure_path, save

TINY = [
    *("--config-file", "pmcm/demo", "MODEL.DEVICE", "cpu", "MODEL.BACKBONE.WIDTH", "8"),
    *("INPUT.SIZE_TRAIN", "[64, 32]", "INPUT.SIZE_TEST", "[64, 32]", "DATALOADER.NUM_WORKERS", "0"),
]
START = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.mark.parametrize(
    ("words", "suffix", "said"),
    [
        (["embedding", "--identities", "2"], ".svg", "SYSUMM01, test set: 2 of "),
        (["embedding", "--subset", "train", "--identities", "1"], ".png", "SYSUMM01, train set: 1 of "),
        (["distances"], ".pdf", "equal error rates: visible - visible "),
        (
            ["attention", "--identities", "1"],
            ".png",
            "Grad-CAM of the cosine of the two embeddings: 1 persons",
        ),
        (["ranking", "--queries", "1", "--show", "best"], ".pdf", "1 of "),
        (["ranking", "--queries", "1", "--top", "2"], ".svg", "1 of "),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_figure_in_the_format_of_its_name(command, datasets, tmp_path, words, suffix, said):
    path = tmp_path / "new" / f"figure{suffix}"
    status, printed, error = command("show", *words, "--output", path, *TINY)
    assert status == 0, error
    assert printed.startswith(f"{path}: ") and said in printed
    assert path.read_bytes().startswith(START[suffix])


@pytest.mark.parametrize("word", ["embedding", "distances", "attention", "ranking"])
def test_the_name_of_the_file_is_checked_first(command, tmp_path, word):
    status, _, error = command("show", word, "--output", tmp_path / "a.gif", "--config-file", "no/such")
    assert status == 2
    assert (
        error == f"error: {tmp_path / 'a.gif'}: expected the name of a file that ends in .png, .svg, .pdf\n"
    )


def test_a_folder_is_no_figure(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ConfigError, match="a.png is a folder; name a file in it"):
        check_figure_path(tmp_path / "a.png")


def test_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(style, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'needs umap, which is not installed: pip install "\.\[figures\]"'):
        style.require("umap")


def test_pixels_of_a_picture_survive(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    save(Image.fromarray(pixels), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert (np.asarray(image) == pixels).all()


def test_images_of_some_identities(datasets):
    cfg = tiny_config()
    title, items = chosen_images(cfg, "test", identities=2, seed=3)
    assert len({item.pid for item in items}) == 2 and title.startswith("SYSUMM01, test set: 2 of ")
    assert chosen_images(cfg, "test", identities=2, seed=3)[1] == items
    pid = items[0].pid
    assert {item.pid for item in chosen_images(cfg, "test", pids=[pid])[1]} == {pid}
    with pytest.raises(ConfigError, match="SYSUMM01: its train set has no identity 999; it has"):
        chosen_images(cfg, "train", pids=[999])


def test_a_pair_is_of_one_identity_and_both_modalities(datasets):
    items = chosen_images(tiny_config(), "test")[1]
    pairs = drawn_pairs(items, 2, seed=1)
    assert len(pairs) == 2 and pairs == drawn_pairs(items, 2, seed=1)
    for visible, infrared in pairs:
        assert visible.pid == infrared.pid
        assert (int(visible.modality), int(infrared.modality)) == (0, 1)
    only_visible = [item for item in items if item.modality == 0]
    assert drawn_pairs(only_visible, None, 0) == []


def test_a_map_of_few_images_is_refused(datasets):
    items = chosen_images(tiny_config(), "test")[1][:3]
    with pytest.raises(UserError, match="T: 3 images; a map needs at least 4"):
        embedding_figure(ImageSet("T", items, None))


def test_groups_that_are_far_apart_stay_apart_in_a_map():
    generator = np.random.default_rng(0)
    features = np.repeat(np.eye(8, dtype=np.float32)[:2], 12, axis=0) + generator.normal(0, 0.01, (24, 8))
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    places = project(features)
    assert (places == project(features)).all()
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + np.diag(np.full(24, np.inf))
    assert (distances.argmin(axis=1) // 12 == np.arange(24) // 12).all()


def write_run(folder, values):
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text("\n".join(map(json.dumps, values)))
    return folder


def test_curves_of_several_runs_share_a_panel(tmp_path):
    table = "SYSUMM01/all-search single-shot"
    for name, loss in (("a", 3.0), ("b", 2.0)):
        lines = [{"iteration": 0, "total_loss": loss, "loss_cls": 1.0, "lr": 0.1}]
        lines += [{"iteration": 9, f"{table}/Rank-1": 50.0, f"{table}/mAP": 40.0, "SYSUMM01/indoor/mAP": 1.0}]
        write_run(tmp_path / name, lines)
    runs = [tmp_path / "a", tmp_path / "b"]
    assert curves_of_runs(runs) == {
        "total loss": {"a": [(0, 3.0)], "b": [(0, 2.0)]},
        "learning rate": {"a": [(0, 0.1)], "b": [(0, 0.1)]},
        "Rank-1, %": {"a": [(9, 50.0)], "b": [(9, 50.0)]},
        "mAP, %": {"a": [(9, 40.0)], "b": [(9, 40.0)]},
    }
    assert set(curves_of_runs(runs[:1])["loss"]) == {"total_loss", "loss_cls"}
    with pytest.raises(UserError, match="no metrics.json with values in it; name the output folder"):
        curves_of_runs([tmp_path])


def test_runs_are_named_by_what_tells_them_apart(tmp_path):
    assert run_names([tmp_path / "x" / "a", tmp_path / "y" / "a"]) == ["x/a", "y/a"]
    with pytest.raises(UserError, match="is named twice"):
        run_names([tmp_path, tmp_path])


def test_curves_and_comparison_are_commands(command, datasets, tmp_path):
    run = write_run(tmp_path / "run", [{"iteration": 0, "total_loss": 1.0}])
    status, _, error = command("show", "curves", "--output", tmp_path / "curves.svg", run)
    assert status == 0, error
    assert (tmp_path / "curves.svg").read_bytes().startswith(START[".svg"])
