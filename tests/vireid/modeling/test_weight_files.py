"""Files of weights that are none, or would harm who reads them."""

import errno
import os
import zipfile

import numpy as np
import pytest
import torch

from vireid.engine.checkpoints.resume import checkpoints_of_run
from vireid.errors import CheckpointError, MachineError
from vireid.modeling.weight_files import read_safetensors, read_state_dict, read_tensors


def test_what_torch_saves_is_read(tmp_path):
    torch.save(
        {"model": {"a": torch.arange(6)[::2], "b": torch.ones(2, 3).T}, "epoch": 3}, tmp_path / "a.pth"
    )
    content = read_tensors(tmp_path / "a.pth", "MODEL.WEIGHTS")
    assert content["model"]["a"].tolist() == [0, 2, 4] and content["epoch"] == 3


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused_unread(tmp_path, monkeypatch):
    torch.save({"a": torch.zeros(100_000)}, tmp_path / "whole.pth")
    packed = zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(tmp_path / "whole.pth") as whole, packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    assert (tmp_path / "packed.pth").stat().st_size < 10_000
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(CheckpointError, match=r"packed.pth .*\(it unpacks to \d{6} bytes from \d{4}\)"):
        read_tensors(tmp_path / "packed.pth", "MODEL.WEIGHTS")


def shared():
    """A list of lists of lists, the same one nine times each."""
    value = [torch.ones(1)]
    for _ in range(12):
        value = [value] * 9
    return value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": torch.ones(3).to_sparse()}, "the tensor a is sparse, quantized, nested or without values"),
        ({"model": {"a": [torch.ones(3, device="meta")]}}, r"the tensor model.a\[0\] is sparse, quantized"),
        ({"a": torch.ones(1).expand(10**9)}, r"the tensor a of shape \(1000000000,\) is larger than what is"),
    ],
)
def test_tensors_that_are_no_plain_numbers_are_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=message):
        read_tensors(tmp_path / "a.pth", "MODEL.WEIGHTS")


def test_what_is_shared_a_million_times_is_looked_at_once(tmp_path):
    torch.save(shared(), tmp_path / "a.pth")
    content = read_tensors(tmp_path / "a.pth", "MODEL.WEIGHTS")  # nine to the power of twelve would not end
    assert len(content) == 9 and content[0] is content[8]


def test_a_pipe_and_a_folder_are_no_weights(tmp_path):
    os.mkfifo(tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="a.pth is no regular file, but a pipe, a socket or a device"):
        read_tensors(tmp_path / "a.pth", "MODEL.WEIGHTS")
    with pytest.raises(CheckpointError, match="MODEL.WEIGHTS: .* is a folder"):
        read_safetensors(tmp_path, "MODEL.WEIGHTS")
    with pytest.raises(CheckpointError, match="MODEL.WEIGHTS: no file "):
        read_tensors(tmp_path / "b.pth", "MODEL.WEIGHTS")


@pytest.mark.parametrize("value", ["{", "", "[" * 9000])
def test_metadata_that_are_no_json_are_refused(tmp_path, value):
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors", {"format": "pt", "epoch": value})
    with pytest.raises(CheckpointError, match="its metadata 'epoch' are .*; expected JSON"):
        read_safetensors(tmp_path / "a.safetensors", "MODEL.WEIGHTS")


def test_a_state_dict_is_found_in_what_it_is_wrapped_in(tmp_path):
    torch.save(
        {"model": {"state_dict": {"a": torch.ones(1), "epoch": 3, 4: torch.ones(1)}}}, tmp_path / "a.pth"
    )
    assert list(read_state_dict(tmp_path / "a.pth", "MODEL.BACKBONE.PRETRAIN_PATH")) == ["a"]


def itself():
    content = {}
    content["model"] = content
    return content


@pytest.mark.parametrize("content", [[torch.ones(1)], 3, {"epoch": 3}, {"model": [torch.ones(1)]}, itself()])
def test_a_file_without_a_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="PRETRAIN_PATH: .*a.pth holds no state dict: expected"):
        read_state_dict(tmp_path / "a.pth", "MODEL.BACKBONE.PRETRAIN_PATH")


@pytest.mark.parametrize("zipped", [True, False])
def test_numbers_and_arrays_of_numpy_are_read(tmp_path, zipped):
    content = {
        "net": {"a": torch.ones(2)},
        "mAP": np.float64(0.5),
        "cmc": np.arange(3.0),
        "best": np.int64(7),
    }
    torch.save(content, tmp_path / "a.t", _use_new_zipfile_serialization=zipped)
    read = read_tensors(tmp_path / "a.t", "checkpoint")
    assert (read["mAP"], read["cmc"].tolist(), read["best"]) == (0.5, [0, 1, 2], 7)
    assert list(read_state_dict(tmp_path / "a.t", "checkpoint")) == ["a"]


def test_the_numpy_of_an_old_file_is_known_by_its_old_name(tmp_path):
    torch.save(
        {"mAP": np.float64(0.5), "a": torch.ones(1)}, tmp_path / "a.t", _use_new_zipfile_serialization=False
    )
    old = (tmp_path / "a.t").read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    (tmp_path / "a.t").write_bytes(old)
    assert read_tensors(tmp_path / "a.t", "checkpoint")["mAP"] == 0.5


def test_what_numpy_could_run_is_refused(tmp_path):
    class Harm:
        def __reduce__(self):
            return np.load, ("harm.npy",)

    torch.save({"a": torch.ones(1), "b": Harm()}, tmp_path / "a.t")
    with pytest.raises(
        CheckpointError, match="not a checkpoint of plain tensors, or is damaged; it was not executed"
    ):
        read_tensors(tmp_path / "a.t", "checkpoint")


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), MemoryError()])
def test_a_failing_machine_is_not_a_damaged_file(error, tmp_path, monkeypatch):
    """A resumed run would pass over its newest checkpoint, and go on from an older one."""
    path = tmp_path / "model_0003.pth"
    torch.save({"epoch": 3}, path)

    def fail(*arguments, **keywords):
        raise error

    monkeypatch.setattr(torch, "load", fail)
    for read in (lambda: read_tensors(path, "MODEL.WEIGHTS"), lambda: checkpoints_of_run(tmp_path)):
        with pytest.raises(MachineError, match=r"model_0003.pth cannot be read now: (Input|too little)"):
            read()
