"""What verification finds on generated datasets: nothing, and each fault once."""

import shutil

import numpy as np
import pytest
from PIL import Image

from vireid.data.datasets import LLCM, SYSUMM01, RegDB
from vireid.data.verification import verify

from .layouts import write_list, write_permutations


def faults_of(dataset, **options):
    return verify(dataset, progress=False, **options).faults


def copied(cls, generated_root, tmp_path):
    folder = tmp_path / cls.folder
    shutil.copytree(generated_root / cls.folder, folder)
    return folder, cls(str(tmp_path))


@pytest.mark.parametrize("cls", [SYSUMM01, RegDB, LLCM])
def test_generated_data_pass(cls, generated_root):
    found = verify(cls(str(generated_root)), sample=None, progress=False)
    assert found.faults == []
    assert "counts are not compared" in found.notes[0]
    assert found.notes[-1].endswith("files, height x width 64x32")


def first(folder, pattern):
    return min(path for path in folder.glob(pattern) if path.is_file())


def ids(folder, name):
    return (folder / "exp" / name).read_text().strip().split(",")


def lines(path):
    return path.read_text().splitlines()


def add_line(path, line):
    write_list(path, [*lines(path), line])


def sysu_identity_in_both(folder):
    pids = [*ids(folder, "val_id.txt"), ids(folder, "test_id.txt")[0]]
    write_list(folder / "exp/val_id.txt", [",".join(pids)])


def gray(path):
    with Image.open(path) as image:
        image.convert("L").save(path)


def tint(path):
    with Image.open(path) as image:
        pixels = np.asarray(image) // 2
    Image.fromarray((pixels + np.array([100, 50, 0])).astype(np.uint8)).save(path, "png")


def relabel(path, row, label):
    text = lines(path)
    text[row] = f"{text[row].split()[0]} {label}"
    write_list(path, text)


# Dataset, what is done to its folder, and a part of each fault that is then found, in this order; {} is the
# folder. Where a list ends in ..., there are more of the last kind.
FAULTS = {
    "identity in training and test": (
        SYSUMM01,
        sysu_identity_in_both,
        ["1 of the test identities (identity 5) and 18 of the test images ({}/cam1/0005/0001.jpg, ...)"],
    ),
    "missing camera": (
        SYSUMM01,
        lambda f: shutil.rmtree(f / "cam4"),
        ["{}/cam4: no such folder", "camera 4, identity 0001: draws 3 images", ...],
    ),
    "missing list": (
        SYSUMM01,
        lambda f: (f / "exp/test_id.txt").unlink(),
        ["{}/exp/test_id.txt does not exist"],
    ),
    "identity without images": (
        SYSUMM01,
        lambda f: [shutil.rmtree(path) for path in f.glob("cam*/0001")],
        [
            "{}/exp/train_id.txt names identity 1, of which {} has no image in any camera",
        ],
    ),
    "missing images": (
        SYSUMM01,
        lambda f: shutil.rmtree(f / "cam2/0001"),
        ["camera 2, identity 0001: draws 3 images (0001.jpg, 0002.jpg, 0003.jpg) that do not exist"],
    ),
    "missing image": (
        SYSUMM01,
        lambda f: (f / "cam1/0001/0002.jpg").unlink(),
        ["{}/exp/rand_perm_cam.mat, camera 1, identity 0001: draws 0002.jpg, which does not exist"],
    ),
    "image without a permutation": (
        SYSUMM01,
        lambda f: (f / "cam1/0001/0001.jpg").rename(f / "cam1/0001/0009.jpg"),
        ["draws 0001.jpg, which does not exist", "does not permute 1 of the 3 images, such as 0009.jpg"],
    ),
    "image without a number": (
        SYSUMM01,
        lambda f: (f / "cam5/0001/0001.jpg").rename(f / "cam5/0001/front.jpg"),
        [
            "{}/cam5/0001/front.jpg: an image's name is expected to be its number",
            "camera 5, identity 0001: draws 0001.jpg, which does not exist",
        ],
    ),
    "permutations of another dataset": (
        SYSUMM01,
        lambda f: write_permutations(f / "exp/rand_perm_cam.mat", 12, 2),
        ["camera 1, identity 0001: does not permute 1 of the 3 images, such as 0003.jpg", ...],
    ),
    "no permutations": (
        SYSUMM01,
        lambda f: (f / "exp/rand_perm_cam.mat").write_text("1 2 3 " * 99),
        ["{}/exp/rand_perm_cam.mat cannot be read as a MATLAB file"],
    ),
    "unreadable image": (
        SYSUMM01,
        lambda f: (f / "cam3/0001/0001.jpg").write_text("no image"),
        [
            "{}/cam3/0001/0001.jpg: the image cannot be read (it is no image: it begins with b'no image'; "
            "accepted are JPEG, PNG, BMP); replace it"
        ],
    ),
    "empty image": (
        SYSUMM01,
        lambda f: (f / "cam3/0001/0001.jpg").write_bytes(b""),
        ["{}/cam3/0001/0001.jpg: the image cannot be read (it is empty); replace it"],
    ),
    "sixteen bits": (
        LLCM,
        lambda f: Image.fromarray(np.zeros((4, 4), np.uint16)).save(first(f, "nir/*/*"), "png"),
        ["its pixels are not 8 bits a channel, but 16"],
    ),
    "color in an infrared camera": (
        SYSUMM01,
        lambda f: shutil.copy(f / "cam1/0001/0001.jpg", f / "cam6/0001/0001.jpg"),
        [
            "{}/cam1/0001/0001.jpg and {}/cam6/0001/0001.jpg are the same image, the one visible, the other",
            "{}/cam6/0001/0001.jpg: an infrared image with color; is it a visible one?",
        ],
    ),
    "gray visible camera": (
        SYSUMM01,
        lambda f: [gray(path) for path in f.glob("cam2/*/*")],
        ["visible images of camera 2: 32 of 32 that were looked at have no color, such as {}/cam2/"],
    ),
    "colored infrared camera": (
        LLCM,
        lambda f: [tint(path) for path in (*f.glob("nir/*/*_c02_*"), *f.glob("test_nir/cam2/*/*"))],
        ["infrared images of camera 2: 32 of 32 that were looked at have color, such as {}/nir/"],
    ),
    "same image of two identities": (
        SYSUMM01,
        lambda f: shutil.copy(f / "cam1/0001/0001.jpg", f / "cam1/0002/0001.jpg"),
        ["{}/cam1/0001/0001.jpg and {}/cam1/0002/0001.jpg are the same image, of identities 1 and 2"],
    ),
    "same image in training and test": (
        LLCM,
        lambda f: shutil.copy(first(f, "vis/*/*"), first(f, "test_vis/cam1/*/*")),
        [" are the same image, the one in training, the other in test"],
    ),
    "listed image missing": (
        RegDB,
        lambda f: first(f, "Visible/1/*").unlink(),
        ["/Visible/1/female_back_v_00001_1.bmp does not exist; is the dataset complete?", ...],
    ),
    "missing split": (
        RegDB,
        lambda f: (f / "idx/train_visible_7.txt").unlink(),
        ["{}/idx/train_visible_7.txt does not exist"],
    ),
    "duplicate line": (
        RegDB,
        lambda f: add_line(f / "idx/test_thermal_3.txt", lines(f / "idx/test_thermal_3.txt")[0]),
        [".bmp is listed twice"],
    ),
    "image under two labels": (
        RegDB,
        lambda f: add_line(f / "idx/train_visible_1.txt", lines(f / "idx/train_visible_1.txt")[0][:-1] + "4"),
        [
            ".bmp is listed under two labels, 0 and 4",
            "split 1: train: identity 8 has the labels 0, 4",
            "split 1: train: label 4 is given to identities 3, 8",
        ],
    ),
    "another label in one modality": (
        LLCM,
        lambda f: relabel(f / "idx/train_nir.txt", 0, 3),
        ["train: identity 1 has the labels 0, 3", "train: label 3 is given to identities 1, 6"],
    ),
    "path out of the folder": (
        RegDB,
        lambda f: [
            Image.new("RGB", (4, 8), "red").save(f.parent / "outside.bmp"),
            add_line(f / "idx/train_visible_1.txt", "../outside.bmp 0"),
        ],
        [
            "split 1: train: {}/../outside.bmp leads out of {}",
            "split 1: train: label 0 is given to identities 8, ..",
        ],
    ),
    "thermal list as the visible one": (
        RegDB,
        lambda f: shutil.copy(f / "idx/train_thermal_1.txt", f / "idx/train_visible_1.txt"),
        ["split 1: train: 18 of 18 visible images are in Thermal/, not in Visible/, such as {}/Thermal/8/"],
    ),
    "thermal images in the visible folder": (
        RegDB,
        lambda f: [gray(path) for path in f.glob("Visible/*/*")],
        ["visible images of camera 1: 32 of 32 that were looked at have no color, such as {}/Visible/"],
    ),
    "list of another split": (
        RegDB,
        lambda f: shutil.copy(f / "idx/train_thermal_2.txt", f / "idx/train_thermal_1.txt"),
        [
            "split 1: 4 of the test identities (identities 2, 4, 9, 12) and 12 of the test images ({}/",
            "split 1: train: identity 3 has the labels 1, 4",
            "split 1: train: label 1 is given to identities 3, 7",
            ...,
        ],
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_each_fault_is_one_line(case, generated_root, tmp_path):
    cls, damage, expected = FAULTS[case]
    folder, dataset = copied(cls, generated_root, tmp_path)
    damage(folder)
    found = faults_of(dataset)
    more = expected[-1] is ...
    expected = [text.replace("{}", str(folder)) for text in expected if text is not ...]
    assert len(found) > len(expected) if more else len(found) == len(expected), "\n".join(found)
    for fault, text in zip(found, expected):
        assert text in fault
        assert "\n" not in fault
