"""Queries of several images, tracks, and answers in groups."""

import logging

import numpy as np
import pytest
from PIL import Image

from galleries import mean_colors
from vireid import Gallery
from vireid.errors import ImageError, UserError
from vireid.inference.network import normalized

RNG = np.random.default_rng(0)


def write(path, gray=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, (16, 8, 1 if gray else 3), dtype=np.uint8)
    Image.fromarray(pixels.repeat(3, 2) if gray else pixels).save(path)


@pytest.fixture
def gallery(tmp_path):
    """Four tracks of three images, named as ``vireid data crops`` names them; an image of none; a table."""
    lines = ["path,identity,camera,track"]
    for track in range(4):
        for frame in (1, 2, 3):
            write(tmp_path / f"crops/gate_t{track:04d}/{frame:06d}.png", gray=track == 3)
            if track < 2:
                lines.append(f"gate_t{track:04d}/{frame:06d}.png,kim,gate,")
            if track == 2:
                lines.append(f"gate_t{track:04d}/{frame:06d}.png,lee,door,other")
    write(tmp_path / "crops/alone.png")
    table = tmp_path / "crops.csv"
    table.write_text("\n".join(lines))
    with Gallery.open(tmp_path / "store", mean_colors()) as opened:
        opened.index(tmp_path / "crops", table=table)
        yield opened


def test_tracks_are_kept_and_a_table_is_preferred_to_names(gallery):
    found = {entry.path.split("/crops/")[1]: entry.track for entry in gallery.entries()}
    assert found["gate_t0000/000001.png"] == "gate_t0000" and found["alone.png"] is None
    assert found["gate_t0002/000003.png"] == "other" and gallery.info()["tracks"] == 4


def test_several_images_are_searched_for_by_their_mean(gallery, tmp_path):
    folder = tmp_path / "crops/gate_t0001"
    paths = sorted(folder.iterdir())
    mean = normalized(mean_colors().embed(paths).mean(axis=0, keepdims=True))
    entries, vectors = gallery.store.read()
    scores = dict(zip((entry.path for entry in entries), (vectors @ mean[0]).tolist()))
    expected = sorted(scores, key=lambda path: -scores[path])
    for query in (paths, [np.asarray(Image.open(path)) for path in paths], folder, str(folder)):
        found = gallery.search(query, 20)
        assert [match.path for match in found] == expected
        np.testing.assert_allclose(
            [match.score for match in found], [scores[path] for path in expected], atol=1e-6
        )
    own = {entry.path for entry in entries if entry.track == "gate_t0001"}
    found = gallery.search("gate_t0001", 20)  # its own images are no answer
    assert [match.path for match in found] == [path for path in expected if path not in own]


@pytest.mark.parametrize("by", ["track", "identity"])
def test_of_a_group_the_best_image_answers(gallery, tmp_path, by):
    query = tmp_path / "crops/gate_t0000/000001.png"
    everything = gallery.search(query, 20)
    seen, expected = set(), []
    for match in everything:
        name = getattr(match, by) or match.path
        if name not in seen:
            expected.append(match.path)
        seen.add(name)
    assert len(expected) == {"track": 5, "identity": 6}[by]
    for top in (1, 2, 4, 20):
        assert [match.path for match in gallery.search(query, top, by=by)] == expected[:top]


def test_what_cannot_be_read_is_skipped(gallery, tmp_path, caplog):
    paths = [*sorted((tmp_path / "crops/gate_t0001").iterdir())]
    (tmp_path / "bad.jpg").write_bytes(b"<html>")
    with caplog.at_level(logging.WARNING, "fastreid.vireid.inference"):
        answer = gallery.answer([tmp_path / "bad.jpg", *paths], 20)
    assert [m.path for m in answer.matches] == [m.path for m in gallery.search(paths, 20)]
    assert answer.query.first == paths[0]
    assert "bad.jpg: the image cannot be read" in caplog.text


def test_a_query_that_is_none_is_one_line(gallery, tmp_path):
    crops = tmp_path / "crops"
    (tmp_path / "empty").mkdir()
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / "bad").mkdir(exist_ok=True)
        (tmp_path / "bad" / name).write_bytes(b"<html>")
    mixed = [crops / "gate_t0000/000001.png", crops / "gate_t0003/000001.png"]
    for query, options, said in (
        (mixed, {}, r"of two modalities: .*0000/000001.png is visible, and .*0003/000001.png is infrared"),
        (tmp_path / "bad", {}, r"none of the 2 images of the query can be read; the first: .*1.jpg"),
        (tmp_path / "empty", {}, r"1 to 1,000 images of one person, and there are 0 below .*empty"),
        ("gate_t0009", {}, r"gate_t0009: the image cannot be read"),
        (mixed[0], {"by": "person"}, "by is 'person'; expected one of image, track, identity"),
    ):
        with pytest.raises(UserError, match=said) as error:
            gallery.search(query, **options)
        assert "\n" not in str(error.value)
    assert len(gallery.search(mixed, modality="visible")) == 10  # whoever says so


def test_a_track_of_two_modalities_is_refused(gallery, tmp_path):
    lines = ["path,track", "gate_t0000/000001.png,gate_t0003"]
    (tmp_path / "other.csv").write_text("\n".join(lines))
    gallery.index(tmp_path / "crops", table=tmp_path / "other.csv")
    with pytest.raises(ImageError, match="of two modalities"):
        gallery.search("gate_t0003")
