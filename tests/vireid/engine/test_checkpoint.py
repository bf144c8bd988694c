import errno
import io
import os
import pickle
import random
import warnings

import pytest
import torch
from torch import nn

from vireid.engine.checkpoints.checkpoint import SCALER, AtomicCheckpointer, read_checkpoint
from vireid.errors import CheckpointError, MachineError
from vireid.export.formats import write_safetensors


def test_saved_and_loaded_with_optimizer_and_extras(tmp_path):
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    saving = AtomicCheckpointer(model, str(tmp_path), optimizer=optimizer)
    saving.save("model_0001", epoch=1, best_metric=12.5)
    other = nn.Linear(3, 2)
    restored = torch.optim.SGD(other.parameters(), lr=0.5, momentum=0.9)
    checkpointer = AtomicCheckpointer(other, str(tmp_path), optimizer=restored)
    rest = checkpointer.load(checkpointer.get_checkpoint_file())
    assert rest == {"epoch": 1, "best_metric": 12.5}
    assert torch.equal(other.weight, model.weight)
    assert restored.param_groups[0]["lr"] == 0.5  # settings are the config's
    momenta = [o.state_dict()["state"][0]["momentum_buffer"] for o in (restored, optimizer)]
    assert torch.equal(*momenta)


KILLED_WHILE_WRITING = """
import os, sys, torch
from torch import nn
from vireid.engine.checkpoints.checkpoint import AtomicCheckpointer
model = nn.Linear(3, 2)
checkpointer = AtomicCheckpointer(model, sys.argv[1])
checkpointer.save("model_0000", epoch=0)
def half(data, file):
    file.write(b"half a checkpoint")
    file.flush()
    os._exit(9)
torch.save = half
checkpointer.save("model_0000", epoch=1)
"""


def test_a_kill_while_writing_leaves_the_last_one_whole(python, tmp_path):
    killed = python(KILLED_WHILE_WRITING, str(tmp_path))
    assert killed.returncode == 9, killed.stderr
    checkpointer = AtomicCheckpointer(nn.Linear(3, 2), str(tmp_path))
    assert checkpointer.load(checkpointer.get_checkpoint_file())["epoch"] == 0


def states(seed=0):
    """A model and its optimizer after a step, and what a run records."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 3, 8, 8)).square().sum().backward()
    optimizer.step()
    return model, optimizer, {"epoch": 3, "best_metric": 41.5, "config": {"SEED": 0, "OPT": "Adam"}}


def same(first, second):
    """Whether two contents are equal, tensors by their bytes."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple) and type(first) is type(second):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first.nan_to_num(), second.nan_to_num())
    return type(first) is type(second) and first == second


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_no_flipped_bit_changes_a_weight_without_a_word(tmp_path, suffix):
    model, optimizer, about = states()
    path = tmp_path / f"model_0003{suffix}"
    if suffix == ".pth":
        AtomicCheckpointer(model, str(tmp_path), optimizer=optimizer).save("model_0003", **about)
    else:
        pytest.importorskip("safetensors")
        write_safetensors(model, path, about)
    whole, content = path.read_bytes(), read_checkpoint(path)
    rng, refused = random.Random(0), 0
    for _ in range(40):
        flipped = bytearray(whole)
        flipped[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        try:
            found = read_checkpoint(path)  # a byte that says nothing, such as a date or the digest's name
            assert same({key: found.get(key) for key in content}, content)
        except CheckpointError:
            refused += 1
    assert refused > 10


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["model"]["0.bias"].view(torch.int32).bitwise_xor_(1),
        lambda content: content["optimizer"]["state"][0]["step"].add_(1),
        lambda content: content.update(epoch=4),
        lambda content: content.update(best_metric=41.500001),
        lambda content: content["model"].update({"0.bias": content["model"].pop("0.bias").double()}),
        lambda content: content["config"].update(SEED="0"),
        lambda content: content["model"].update({"0.bias": content["model"]["0.bias"].view(2, 4)}),
    ],
)
def test_the_digest_is_of_every_name_and_value(tmp_path, change):
    model, optimizer, about = states()
    AtomicCheckpointer(model, str(tmp_path), optimizer=optimizer).save("model_0003", **about)
    content = torch.load(tmp_path / "model_0003.pth", weights_only=True)
    change(content)
    torch.save(content, tmp_path / "model_0003.pth")
    with pytest.raises(CheckpointError, match="model_0003.pth is damaged: .*its digest differs"):
        read_checkpoint(tmp_path / "model_0003.pth")


def test_a_flipped_weight_of_an_exported_file_is_said_as_for_a_checkpoint(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "model.safetensors"
    write_safetensors(nn.Linear(3, 2), path, {"epoch": 3, "datasets": {"RegDB": {"split": 1}}})
    assert {"epoch", "datasets", "model"} == read_checkpoint(path).keys()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # of the last number
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model.safetensors is damaged: .*its digest differs"):
        read_checkpoint(path)


@pytest.mark.parametrize("name", ["other.pth", "other.safetensors"])
def test_a_file_without_a_digest_loads_with_a_line(tmp_path, monkeypatch, name):
    weights = {"weight": torch.ones(2)}
    if name.endswith(".pth"):
        torch.save(weights, tmp_path / name)
    else:
        pytest.importorskip("safetensors.torch").save_file(weights, tmp_path / name)
    lines = []
    monkeypatch.setattr("vireid.engine.checkpoints.checkpoint.logger.info", lines.append)
    assert torch.equal(read_checkpoint(tmp_path / name)["model"]["weight"], torch.ones(2))
    assert lines == [f"{tmp_path / name} has no digest: that it is what was saved cannot be checked"]


def full_after(room, monkeypatch):
    """Files of ``write_atomically`` have room for so many bytes."""

    class Full(io.FileIO):
        def write(self, data):
            if self.tell() + memoryview(data).nbytes > room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    monkeypatch.setattr("builtins.open", lambda path, mode: Full(path, mode))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99, 1.0])
def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch, share):
    model, optimizer, about = states()
    checkpointer = AtomicCheckpointer(model, str(tmp_path), optimizer=optimizer)
    checkpointer.save("model_0003", **about)
    whole = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    room = int(share * (len(whole["model_0003.pth"]) - 1))
    with monkeypatch.context() as patch:
        full_after(room, patch)
        with pytest.raises(MachineError, match="model_0003.pth cannot be written: No space left") as error:
            checkpointer.save("model_0003", **{**about, "epoch": 4})
    assert error.value.exit_status == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == whole


def test_last_checkpoint_that_points_nowhere_is_no_checkpoint(tmp_path):
    (tmp_path / "last_checkpoint").write_text("model_0009.pth")
    assert not AtomicCheckpointer(nn.Linear(3, 2), str(tmp_path)).has_checkpoint()


def test_a_misfit_lists_what_is_missing_extra_and_reshaped(tmp_path):
    torch.save({"weight": torch.zeros(5, 3), "scale": torch.zeros(1)}, tmp_path / "other.pth")
    model = nn.Linear(3, 2)
    checkpointer = AtomicCheckpointer(model, str(tmp_path))
    with pytest.raises(CheckpointError) as error:
        checkpointer.load(str(tmp_path / "other.pth"))
    message = str(error.value)
    assert "1 missing: bias" in message
    assert "1 extra: scale" in message
    assert "1 of another shape: weight (5, 3) for (2, 3)" in message


def test_what_fits_is_taken_when_asked(tmp_path):
    torch.save({"model": {"module.bias": torch.ones(2), "weight": torch.zeros(5, 3)}}, tmp_path / "other.pth")
    model = nn.Linear(3, 2)
    weight = model.weight.detach().clone()
    checkpointer = AtomicCheckpointer(model, str(tmp_path))
    checkpointer.strict = False
    checkpointer.load(str(tmp_path / "other.pth"))
    assert model.bias.tolist() == [1, 1]
    assert torch.equal(model.weight, weight)


def test_weights_of_another_kind_of_model_are_refused_however_they_are_asked_for(tmp_path):
    torch.save({"other.weight": torch.zeros(2, 3)}, tmp_path / "other.pth")
    checkpointer = AtomicCheckpointer(nn.Linear(3, 2), str(tmp_path))
    checkpointer.strict = False
    with pytest.raises(CheckpointError, match=r"nothing in .*other.pth fits this config's model; 2 missing"):
        checkpointer.load(str(tmp_path / "other.pth"))


class Malicious:
    def __reduce__(self):
        return (open, ("executed", "w"))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b"not a checkpoint"), "not a checkpoint of plain tensors"),
        (lambda path: path.write_bytes(b""), "not a checkpoint of plain tensors"),
        (lambda path: torch.save(Malicious(), path), "it was not executed"),
        (lambda path: path.write_bytes(pickle.dumps(Malicious())), "it was not executed"),
        (lambda path: torch.save({"epoch": 3}, path), "holds no state dict"),
        (lambda path: torch.save([torch.zeros(1)], path), "holds no state dict"),
    ],
)
def test_what_is_no_plain_checkpoint_is_refused_unexecuted(tmp_path, monkeypatch, write, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path / "file.pth")
    assert not (tmp_path / "executed").exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=f"MODEL.WEIGHTS: no file {tmp_path / 'none.pth'}"):
        read_checkpoint(tmp_path / "none.pth")


def test_the_state_of_another_optimizer_is_refused(tmp_path):
    model = nn.Linear(3, 2)
    adam = torch.optim.Adam(model.parameters())
    AtomicCheckpointer(model, str(tmp_path), optimizer=adam).save("model_0000", epoch=0)
    checkpointer = AtomicCheckpointer(
        model, str(tmp_path), optimizer=torch.optim.SGD(model.parameters(), lr=1)
    )
    with pytest.raises(CheckpointError, match="optimizer cannot be resumed.*another SOLVER.OPT"):
        checkpointer.load(checkpointer.get_checkpoint_file())


def test_counts_of_steps_go_where_a_fused_update_needs_them(tmp_path):
    """A run that began on the CPU goes on on a GPU; PyTorch's meta device stands for it."""
    model = nn.Linear(3, 2)
    adam = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.ones(1, 3)).sum().backward()
    adam.step()
    AtomicCheckpointer(model, str(tmp_path), optimizer=adam).save("model_0000", epoch=0)
    moved = nn.Linear(3, 2, device="meta")
    fused = torch.optim.Adam(moved.parameters(), lr=0.2)
    fused.param_groups[0]["fused"] = True
    checkpointer = AtomicCheckpointer(moved, str(tmp_path), optimizer=fused)
    with warnings.catch_warnings():  # weights of the meta device stay as they are
        warnings.simplefilter("ignore", UserWarning)
        checkpointer.load(checkpointer.get_checkpoint_file())
    assert {state["step"].device.type for state in fused.state.values()} == {"meta"}
    assert (fused.param_groups[0]["fused"], fused.param_groups[0]["lr"]) == (True, 0.2)


def test_a_run_goes_on_in_fp16_with_a_new_loss_scale(tmp_path):
    AtomicCheckpointer(nn.Linear(3, 2), str(tmp_path)).save("model_0000", epoch=0)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    checkpointer = AtomicCheckpointer(nn.Linear(3, 2), str(tmp_path), **{SCALER: scaler})
    assert checkpointer.load(checkpointer.get_checkpoint_file()) == {"epoch": 0}
    assert scaler.get_scale() == 64.0


def test_files_of_a_killed_write_are_cleared_away(tmp_path):
    no_process, running = 10**8, os.getppid()
    for process in (no_process, running):
        (tmp_path / f".model_0003.pth.{process}.tmp").write_bytes(b"half")
    (tmp_path / ".notes.tmp").write_bytes(b"of someone else")
    AtomicCheckpointer(nn.Linear(3, 2), str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {f".model_0003.pth.{running}.tmp", ".notes.tmp"}
