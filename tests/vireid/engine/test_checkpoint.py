import pickle

import pytest
import torch
from torch import nn

from vireid.engine.checkpoint import AtomicCheckpointer, read_checkpoint
from vireid.errors import CheckpointError


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
from vireid.engine.checkpoint import AtomicCheckpointer
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


def test_files_of_a_killed_write_are_cleared_away(tmp_path):
    (tmp_path / ".model_0003.pth.4711.tmp").write_bytes(b"half")
    AtomicCheckpointer(nn.Linear(3, 2), str(tmp_path))
    assert list(tmp_path.iterdir()) == []
