"""Galleries: a folder of images, indexed, searched and changed."""

import datetime
import os

import numpy as np
import pytest
from PIL import Image

from galleries import MeanColors, mean_colors
from vireid import Gallery
from vireid.errors import ImageError, StoreError, UserError
from vireid.inference import indexing, tasks
from vireid.inference.network import normalized

RNG = np.random.default_rng(0)


def write(path, picture=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = RNG.integers(0, 256, (16, 8, 3), dtype=np.uint8) if picture is None else picture
    Image.fromarray(picture).save(path)


@pytest.fixture
def photos(tmp_path):
    """Twelve images of four persons before two cameras, and one night image."""
    for number in range(12):
        write(
            tmp_path
            / "photos"
            / f"cam{number % 2 + 1}"
            / f"{number % 4:04d}"
            / f"2026010{number % 9 + 1}_120000.png"
        )
    gray = np.repeat(RNG.integers(0, 256, (16, 8, 1), dtype=np.uint8), 3, axis=2)
    write(tmp_path / "photos" / "cam3" / "0001" / "20260105_230000.png", gray)
    return tmp_path / "photos"


@pytest.fixture
def gallery(tmp_path, photos):
    with Gallery.open(tmp_path / "store", mean_colors()) as opened:
        opened.index(photos)
        yield opened


def plain_search(photos, image, embedder):
    """Scores and paths, best first, of every image below a folder."""
    paths = sorted(map(str, photos.rglob("*.png")))
    scores = embedder.embed(paths) @ embedder.embed(image)[0]
    return sorted(zip(scores.tolist(), paths), reverse=True)


def test_an_image_finds_what_is_most_like_it(gallery, photos):
    query = RNG.integers(0, 256, (30, 20, 3), dtype=np.uint8)
    expected = plain_search(photos, query, mean_colors())
    found = gallery.search(query, top=5)
    assert [match.path for match in found] == [path for _, path in expected[:5]]
    np.testing.assert_allclose([m.score for m in found], [score for score, _ in expected[:5]], atol=1e-6)
    assert len(gallery.search(query, top=100)) == len(gallery) == 13
    night = next(match for match in gallery.search(query, top=13) if match.camera == "3")
    assert (night.identity, night.modality) == ("0001", "infrared")
    assert night.time == datetime.datetime(2026, 1, 5, 23)


def test_a_search_keeps_to_its_conditions(gallery, photos):
    query = photos / "cam3" / "0001" / "20260105_230000.png"
    everything = gallery.search(query, top=13)
    for options, kept in (
        ({"camera": "1"}, lambda m: m.camera == "1"),
        ({"camera": ["1", "3"], "identity": "0001"}, lambda m: m.camera in "13" and m.identity == "0001"),
        ({"after": "2026-01-05T12:00"}, lambda m: m.time >= datetime.datetime(2026, 1, 5, 12)),
        ({"before": datetime.datetime(2026, 1, 3, 12)}, lambda m: m.time < datetime.datetime(2026, 1, 3, 12)),
        ({"before": datetime.date(2026, 1, 3)}, lambda m: m.time < datetime.datetime(2026, 1, 3)),
        ({"of": "visible"}, lambda m: m.modality == "visible"),
    ):
        expected = [match for match in everything if kept(match)]
        found = gallery.search(query, top=13, **options)
        assert [match.path for match in found] == [match.path for match in expected]
        assert 0 < len(expected) < 13


def test_indexing_again_embeds_what_is_new_or_changed_alone(gallery, photos, monkeypatch):
    embedded = []
    embed = MeanColors.__call__

    def counted(self, images, modalities):
        embedded.append(len(images))
        return embed(self, images, modalities)

    monkeypatch.setattr(MeanColors, "__call__", counted)
    assert vars(gallery.index(photos)) == {
        "added": 0,
        "replaced": 0,
        "kept": 13,
        "skipped": [],
        "others": 0,
        "levels": [],
    }
    assert embedded == []
    changed = photos / "cam3" / "0001" / "20260105_230000.png"
    write(changed)
    write(photos / "new.png")
    result = gallery.index(photos)
    assert (result.added, result.replaced, result.kept, sum(embedded)) == (1, 1, 12, 2)
    assert gallery.search(changed, top=1)[0].path == str(changed) and len(gallery) == 14
    assert gallery.search(changed, top=1)[0].score == pytest.approx(1)


def test_what_is_no_image_is_named_skipped_and_counted(gallery, photos, caplog):
    (photos / "broken.jpg").write_bytes(b"<html>")
    (photos / "notes.txt").write_text("seen at noon")
    (photos / "gone.png").symlink_to(photos / "nowhere.png")
    write(photos / "good.png")
    result = gallery.index(photos)
    assert (result.added, result.others) == (1, 1)
    assert [path for path, _ in result.skipped] == [str(photos / "broken.jpg"), str(photos / "gone.png")]
    for path, reason in result.skipped:
        assert (
            reason.startswith(f"{path}: the image cannot be read (") and f"skipped: {reason}" in caplog.text
        )
    assert len(gallery) == 14


def test_a_killed_indexing_goes_on_where_it_was(tmp_path, photos, monkeypatch):
    monkeypatch.setattr(indexing, "AT_ONCE", 4)
    with Gallery.open(tmp_path / "store", mean_colors()) as gallery:
        add, calls = gallery.store.add, []

        def killed(entries, vectors):
            if len(calls) == 2:
                raise KeyboardInterrupt
            calls.append(len(entries))
            add(entries, vectors)

        monkeypatch.setattr(gallery.store, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            gallery.index(photos)
    with Gallery.open(tmp_path / "store", mean_colors()) as gallery:
        assert len(gallery) == 8
        result = gallery.index(photos)
        assert (result.kept, result.added) == (8, 5)
        assert sorted(entry.path for entry in gallery.entries()) == sorted(map(str, photos.rglob("*.png")))


SHARED = """
import os, sys, traceback
from pathlib import Path
import torch.distributed as dist
from galleries import mean_colors
from vireid import Gallery
from vireid.inference import indexing

indexing.AT_ONCE = 2
photos, folder, children = sys.argv[1], Path.cwd(), []
for rank in range(3):
    children.append(os.fork())
    if children[-1] == 0:
        try:
            dist.init_process_group("gloo", init_method=f"file://{folder}/group", rank=rank, world_size=3)
            with Gallery.open(folder / "shared", mean_colors()) as gallery:
                assert gallery.is_kept_here == (rank == 0)
                result = gallery.index(photos)
                if rank == 0:
                    print(result.added, len(result.skipped), len(gallery), flush=True)
            dist.destroy_process_group()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def test_processes_share_the_work_and_one_keeps_the_store(tmp_path, photos, python, request):
    (photos / "broken.jpg").write_bytes(b"<html>")
    projects = [str(path) for path in sorted((request.config.rootpath / "projects").iterdir())]
    run = python(SHARED, str(photos), path=[*projects, str(request.config.rootpath / "tests")])
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["13", "1", "13"]
    with (
        Gallery.open(tmp_path / "alone", mean_colors()) as alone,
        Gallery.open(tmp_path / "shared") as shared,
    ):
        alone.index(photos)
        assert shared.entries() == alone.entries()
        for entry in alone.entries():
            vector = mean_colors().embed(entry.path)
            expected, found = (gallery.store.search(vector, 13)[0] for gallery in (alone, shared))
            assert [match.path for match in found] == [match.path for match in expected]


def test_a_table_is_preferred_to_names_and_the_argument_to_both(tmp_path, photos):
    (tmp_path / "labels.csv").write_text(
        "path,camera,identity,modality\ncam3/0001/20260105_230000.png,roof,kim,visible\n"
    )
    with Gallery.open(tmp_path / "store", mean_colors()) as gallery:
        gallery.index(photos, table=tmp_path / "labels.csv")
        (entry,) = gallery.entries(camera="roof")
        assert (entry.identity, entry.modality) == ("kim", "visible")
        assert entry.time == datetime.datetime(2026, 1, 5, 23)
    with Gallery.open(tmp_path / "infrared", mean_colors()) as gallery:
        gallery.index(photos, modality="infrared")
        assert gallery.info()["modalities"] == {"infrared": 13}


def test_what_a_table_or_the_argument_says_now_replaces_what_the_store_has(gallery, photos, tmp_path):
    (tmp_path / "labels.csv").write_text(
        "path,camera,identity\ncam3/0001/20260105_230000.png,roof,0001\ncam1/0000/20260101_120000.png,1,\n"
    )
    result = gallery.index(photos, table=tmp_path / "labels.csv")
    assert (result.added, result.replaced, result.kept) == (0, 1, 12)  # of the other the store knows it
    (entry,) = gallery.entries(camera="roof")
    assert entry.path == str(photos / "cam3/0001/20260105_230000.png")
    assert gallery.index(photos, table=tmp_path / "labels.csv").replaced == 0
    assert gallery.index(photos, modality="visible").replaced == 1
    assert gallery.info()["modalities"] == {"visible": 13}


def test_the_name_of_the_gallery_may_be_that_of_a_camera_and_not_of_a_person(tmp_path):
    for folder in ("cam7", "0042"):
        write(tmp_path / folder / "a.png")
        with Gallery.open(tmp_path / f"store_{folder}", mean_colors()) as gallery:
            gallery.index(tmp_path / folder)
            (entry,) = gallery.entries()
            assert (entry.camera, entry.identity) == ("7" if folder == "cam7" else None, None)


def test_a_file_without_a_moment_in_its_name_has_its_own_time(tmp_path):
    write(tmp_path / "photos" / "a.png")
    os.utime(tmp_path / "photos" / "a.png", (86_400 * 365, 86_400 * 365))
    with Gallery.open(tmp_path / "store", mean_colors()) as gallery:
        gallery.index(tmp_path / "photos")
        (entry,) = gallery.entries()
        assert entry.time == datetime.datetime.fromtimestamp(86_400 * 365)


def test_adding_and_deleting_files(gallery, tmp_path):
    for name in ("a.png", "b.png"):
        write(tmp_path / "more" / name)
    paths = [tmp_path / "more" / name for name in ("a.png", "b.png")]
    assert gallery.add(paths, camera="door", identity="kim", time="2026-02-01T08:00") == 2
    assert [vars(entry)["camera"] for entry in gallery.entries(identity="kim")] == ["door", "door"]
    assert gallery.search(paths[0], top=1)[0].time == datetime.datetime(2026, 2, 1, 8)
    assert gallery.delete(str(paths[0])) == 1 and len(gallery) == 14
    paths[1].unlink()
    assert gallery.delete_missing() == 1 and len(gallery) == 13
    assert gallery.delete(camera="1", before="2026-01-04") == 3
    (tmp_path / "bad.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"bad\.png: the image cannot be read"):
        gallery.add([tmp_path / "bad.png"])
    with pytest.raises(UserError, match="nothing says what to delete: give paths, a camera"):
        gallery.delete()
    assert len(gallery) == 10


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (
            lambda g, folder: g.index(folder / "nowhere"),
            "nowhere is no folder, and the images are to be in one",
        ),
        (lambda g, folder: g.index(folder), "empty holds no images: no file below it has a name such as"),
        (lambda g, folder: g.search(np.zeros((9, 9, 3), np.uint8), top=0), "top is 0; expected 1 or more"),
        (lambda g, folder: g.search([]), "a search takes 1 to 1,000 images of one person, and there are 0"),
        (
            lambda g, folder: g.search(np.zeros((9, 9, 3), np.uint8), after="yesterday"),
            "after is 'yesterday'; expected a time such as 2026-01-31",
        ),
        (
            lambda g, folder: g.entries(before=datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)),
            r"before is '2026-01-01T00:00:00\+00:00'; expected a time such as 2026-01-31",
        ),
        (
            lambda g, folder: g.search(np.zeros((9, 9, 3), np.uint8), of="nir"),
            "of is 'nir'; expected visible or infrared",
        ),
        (
            lambda g, folder: g.add(folder / "a.png", modality="nir"),
            "modality is 'nir'; expected visible, inf",
        ),
        (
            lambda g, folder: g.add(os.fsdecode(bytes(folder) + b"/\xff.png")),
            r"udcff.png': its name is not text in UTF-8",
        ),
        (
            lambda g, folder: Gallery.open(folder.parent / "new", mean_colors(), exact_up_to=-1),
            "exact_up_to is -1; expected 0 or more",
        ),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, act, message):
    (tmp_path / "empty").mkdir()
    with (
        Gallery.open(tmp_path / "store", mean_colors()) as gallery,
        pytest.raises(UserError, match=message),
    ):
        act(gallery, tmp_path / "empty")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("path,camera\nnowhere.png,1\n", "which does not exist"),
        ("path;camera\na.png;1\n", "its columns are path;camera; expected path, .* separated by commas"),
        ("Path,Camera\na.png,1\n", "its columns are Path, Camera; expected path, .* in small letters"),
        (
            "path\n\ncam3/0001/20260105_230000.png\ncam3/../cam3/0001/20260105_230000.png\n",
            r"line 4: cam3/\.\./cam3/.* has been named in line 3 already",
        ),
    ],
)
def test_a_refused_table_or_folder_leaves_no_store(tmp_path, photos, table, message):
    (tmp_path / "labels.csv").write_text(table)
    (tmp_path / "empty").mkdir()
    with Gallery.open(tmp_path / "store", mean_colors()) as gallery:
        with pytest.raises(UserError, match=message):
            gallery.index(photos, table=tmp_path / "labels.csv")
        with pytest.raises(UserError, match="holds no images"):
            gallery.index(tmp_path / "empty")
        with pytest.raises(ImageError):
            gallery.add(tmp_path / "labels.csv")
        assert (
            len(gallery),
            gallery.entries(),
            gallery.search(photos / "cam3/0001/20260105_230000.png"),
        ) == (
            0,
            [],
            [],
        )
    assert not (tmp_path / "store").exists()


def test_a_folder_that_is_indexed_through_a_link_has_its_images_once(gallery, photos, tmp_path):
    (tmp_path / "linked").symlink_to(photos)
    (tmp_path / "around").mkdir()
    (tmp_path / "around" / "cam5").symlink_to(photos / "cam1")
    for folder in (
        tmp_path / "linked",
        tmp_path / "around",
        f"{photos}/../photos/cam2",
        os.path.relpath(photos),
    ):
        result = gallery.index(folder)
        assert (result.added, result.replaced, len(gallery)) == (0, 0, 13)
    night = "cam3/0001/20260105_230000.png"
    (tmp_path / "labels.csv").write_text(f"path,camera\n{night},roof\n")
    assert gallery.index(tmp_path / "linked", table=tmp_path / "labels.csv").replaced == 1
    assert gallery.add(tmp_path / "linked" / night) == 1 and len(gallery) == 13
    (photos / "latest.png").symlink_to(photos / night)  # another name of an image below the same folder
    assert gallery.index(photos).others == 1 and len(gallery) == 13
    assert gallery.delete(tmp_path / "linked" / night) == 1


def test_a_camera_is_named_by_one_rule_in_a_store_and_in_a_question(tmp_path):
    for folder in ("cam03", "camera_gate", "c"):
        write(tmp_path / "photos" / folder / "a.png")
    (tmp_path / "labels.csv").write_text("path,camera\nc/a.png,007\n")
    with Gallery.open(tmp_path / "store", mean_colors()) as gallery:
        gallery.index(tmp_path / "photos", table=tmp_path / "labels.csv")
        assert [*gallery.info()["cameras"]] == ["3", "7", "gate"]
        for camera, folder in (
            ("03", "cam03"),
            ("3", "cam03"),
            (3, "cam03"),
            ("cam03", "cam03"),
            ("07", "c"),
            ("cam_gate", "camera_gate"),
        ):
            (match,) = gallery.search(tmp_path / "photos" / "c" / "a.png", camera=camera)
            assert match.path == str(tmp_path / "photos" / folder / "a.png")
            assert len(gallery.entries(camera=[camera])) == 1
        assert gallery.add(tmp_path / "photos" / "c" / "a.png", camera="0008") == 1
        assert [*gallery.info()["cameras"]] == ["3", "8", "gate"]


def test_no_image_meets_an_empty_list(gallery, photos):
    query = photos / "cam3/0001/20260105_230000.png"
    assert gallery.delete([], camera="1") == gallery.delete(camera=[]) == gallery.delete([]) == 0
    assert gallery.search(query, camera=[]) == gallery.search(query, identity=()) == []
    assert gallery.entries(camera=[]) == gallery.entries(identity=[], before="2030-01-01") == []
    assert len(gallery) == 13
    for act in (lambda: gallery.search(query, camera=""), lambda: gallery.delete(identity=["1", ""])):
        with pytest.raises(
            UserError, match="(camera|identity) holds an empty name; leave it out, or name one"
        ):
            act()


def test_what_the_store_has_is_said_where_a_condition_finds_nothing(gallery):
    assert gallery.present(camera="17", identity="9", of="visible", after="2030-01-01") == (
        "cameras in the store: 1, 2, 3; identities in the store: 0001, 0002, 0003; "
        "modalities in the store: infrared, visible; "
        "times in the store: 2026-01-01 12:00:00 to 2026-01-09 12:00:00"
    )
    assert gallery.present() == ""


def test_images_of_a_disk_that_is_not_mounted_are_not_deleted(gallery, photos, monkeypatch):
    os.rename(photos, f"{photos}.away")
    with pytest.raises(
        StoreError, match=r"the files of 13 of 13 images are gone, such as .* is their disk mounted"
    ):
        gallery.delete_missing()
    os.rename(f"{photos}.away", photos)
    os.rename(photos / "cam1", photos / "elsewhere")  # six of them
    with pytest.raises(
        StoreError, match=r"the files of 6 of 13 images are gone.* insist=True, or `vireid search"
    ):
        gallery.delete_missing()
    assert len(gallery) == 13

    def not_now(path):
        raise PermissionError(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", not_now)
        assert tasks._is_gone(str(photos)) is False
    assert gallery.delete_missing(insist=True) == 6 and len(gallery) == 7
    assert gallery.delete_missing() == 0
    write(photos / "last.png")
    with Gallery.open(photos.parent / "single", mean_colors()) as single:
        single.add(photos / "last.png")
        (photos / "last.png").unlink()
        with pytest.raises(StoreError, match="the files of 1 of 1 images are gone"):
            single.delete_missing()


def test_scores_that_say_nothing_of_the_order_are_warned_of(tmp_path, caplog):
    for number in range(5):
        write(tmp_path / "photos" / f"{number}.png", np.full((16, 8, 3), 200, np.uint8))
    with Gallery.open(tmp_path / "store", mean_colors()) as gallery:
        gallery.index(tmp_path / "photos")
        assert "the embeddings of 5 images are nearly equal" in caplog.text
        gallery.search(tmp_path / "photos" / "0.png")
        assert "the scores of 5 found images differ by less than 0.0001" in caplog.text


def test_without_an_embedder_a_gallery_is_only_looked_at(gallery, tmp_path):
    with Gallery.open(tmp_path / "store") as looked_at:
        assert looked_at.info() == gallery.info()
        with pytest.raises(UserError, match="this gallery was opened without an embedder"):
            looked_at.search(np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(StoreError, match="is no store"):
        Gallery.open(tmp_path / "nowhere")


def test_a_vector_of_zeros_stays():
    assert np.array_equal(normalized(np.zeros((1, 3), np.float32)), np.zeros((1, 3)))
