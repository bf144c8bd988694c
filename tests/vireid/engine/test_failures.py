"""What the machine did to a run, and what a user's own code did."""

import pytest

from configs import tiny_config
from vireid.engine import evaluation
from vireid.engine.interruptions import machine_errors
from vireid.errors import MachineError


def test_an_error_within_a_worker_keeps_its_traceback():
    message = "Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback: my transform"
    with pytest.raises(RuntimeError, match="my transform"), machine_errors("run"):
        raise RuntimeError(message)


def test_an_evaluation_is_to_be_repeated(monkeypatch):
    def killed(*arguments, **keywords):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")

    monkeypatch.setattr(evaluation, "evaluate_model", killed)
    with pytest.raises(MachineError, match="evaluate again") as error:
        evaluation.evaluate_weights(tiny_config())
    assert "--resume" not in str(error.value)


def test_a_worker_that_was_killed_is_the_machine():
    message = r"worker \(pid 7\) is killed .*Lower DATALOADER.NUM_WORKERS"
    with pytest.raises(MachineError, match=message), machine_errors("run"):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
