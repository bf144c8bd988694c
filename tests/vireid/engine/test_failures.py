"""What the machine did to a run, and what a user's own code did."""

import pytest

from vireid.engine.failures import machine_errors
from vireid.errors import MachineError


def test_an_error_within_a_worker_keeps_its_traceback():
    message = "Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback: my transform"
    with pytest.raises(RuntimeError, match="my transform"), machine_errors("run"):
        raise RuntimeError(message)


def test_a_worker_that_was_killed_is_the_machine():
    message = r"worker \(pid 7\) is killed .*Lower DATALOADER.NUM_WORKERS"
    with pytest.raises(MachineError, match=message), machine_errors("run"):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
