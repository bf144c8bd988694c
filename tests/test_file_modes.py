"""What is written may be read by whom the umask lets: a folder that a group shares stays readable for it."""

import os
import stat

import matplotlib.figure
import pytest
import torch
from PIL import Image
from torch import nn

from configs import tiny_config
from galleries import person_vectors, some_entries
from vireid.data import resized_images
from vireid.data.resized_images import ImageList
from vireid.engine.checkpoints.checkpoint import AtomicCheckpointer
from vireid.engine.checkpoints.run_lock import lock_folder, unlock_folder
from vireid.engine.models import build_model
from vireid.export.model import export_model
from vireid.inference.records import About
from vireid.inference.stores import open_store
from vireid.preprocessing import Preprocessing
from vireid.visualize.style import save


def write_checkpoint(folder):
    AtomicCheckpointer(nn.Linear(3, 2), str(folder)).save("model_0000", epoch=0)
    lock_folder(folder)
    unlock_folder(folder)


def write_exports(folder):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("safetensors")
    torch.manual_seed(0)
    export_model(build_model(tiny_config()), folder, Preprocessing((64, 32)))


def write_store(folder):
    store = open_store(folder / "store", About("0123456789abcdef", 16), create=True, exact_up_to=20)
    with store.writing():
        store.add(some_entries(0, 60), person_vectors(60, 16))
        store.optimize()


def write_cache(folder):
    Image.new("RGB", (8, 16)).save(folder / "image.png")
    resized_images._open.clear()
    assert len(ImageList([str(folder / "image.png")], (16, 8), cache=str(folder / "kept"))[0]) == 3


def write_figures(folder):
    figure = matplotlib.figure.Figure()
    for suffix in ("png", "svg", "pdf"):
        save(figure, folder / f"figure.{suffix}")
    save(Image.new("RGB", (8, 16)), folder / "picture.png")


WRITERS = {
    write_checkpoint: {".pth", ""},
    write_exports: {".pt", ".onnx", ".safetensors", ".json"},
    write_store: {".lance", ".manifest", ".txn", ".json", ".idx", ".lock"},
    write_cache: {".png", ".images", ""},
    write_figures: {".png", ".svg", ".pdf"},
}


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
@pytest.mark.parametrize("write", WRITERS)
def test_every_file_has_the_mode_that_the_umask_leaves(tmp_path, write, umask):
    before = os.umask(umask)
    try:
        write(tmp_path)
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == WRITERS[write]
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in files}
    assert modes == dict.fromkeys(modes, oct(0o666 & ~umask))
