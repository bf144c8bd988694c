from PIL import Image


def test_a_row_for_each_image_and_the_same_picture_for_the_same_seed(command, datasets, tmp_path):
    images = sorted((datasets / "SYSU-MM01" / "cam1").rglob("*.jpg"))[:2]
    for name in ("first.png", "second.png"):
        arguments = ["--output", tmp_path / name, "--draws", 3, *images]
        assert command("show", "transforms", *arguments)[0] == 0
    with Image.open(tmp_path / "first.png") as picture:
        assert picture.size == ((1 + 4 * 3) * 67 - 3 + 16, 2 * 131 - 3 + 18 + 16)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_an_image_that_cannot_be_read_is_named(command, tmp_path):
    arguments = ["--output", tmp_path / "sheet.png", tmp_path / "none.jpg"]
    status, _, error = command("show", "transforms", *arguments)
    assert status == 2 and "none.jpg" in error
