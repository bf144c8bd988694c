"""Points at which the processes of a run meet: they wait for each other there, and compare what they have.

They meet in the store through which torch.distributed has connected them. A collective operation would end
the run where one process comes some minutes after the others, such as after a re-ranking.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

import torch.distributed as dist

from vireid.errors import ConfigError, MachineError

BEAT_SECONDS = 5.0  # a process says so often that it goes on
SAME = "start all processes with the same code, config and data"
SILENT_SECONDS = 600.0  # one that has said nothing for so long is lost


class _Meetings:
    """The meetings of one group of processes, which all of them count alike."""

    def __init__(self, store: Any) -> None:
        self.store, self.rank, self.number = store, dist.get_rank(), 0
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self) -> None:
        beats = 0
        while True:
            try:
                self.store.set(f"vireid/beat/{self.rank}", str(beats))
            except RuntimeError:  # the group has ended
                return
            beats += 1
            time.sleep(BEAT_SECONDS)

    def meet(self, given: Any) -> list[Any]:
        self.number += 1
        names = [f"vireid/meeting/{self.number}/{rank}" for rank in range(dist.get_world_size())]
        try:
            self.store.set(names[self.rank], json.dumps(given))
            for rank, name in enumerate(names):
                self._wait_for(rank, name)
            return [json.loads(self.store.get(name)) for name in names]
        except RuntimeError as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise MachineError(f"the processes of the run have lost each other ({reason[0]})") from None

    def _wait_for(self, rank: int, name: str) -> None:
        beat, latest, heard, pause = f"vireid/beat/{rank}", b"", time.monotonic(), 0.001
        while not self.store.check([name]):
            found = self.store.get(beat) if self.store.check([beat]) else b""
            if found != latest:
                latest, heard = found, time.monotonic()
            elif time.monotonic() - heard > SILENT_SECONDS:
                raise MachineError(
                    f"process {rank} of the run has not been heard of for {SILENT_SECONDS:.0f} seconds: it, "
                    "or its machine, is lost"
                )
            time.sleep(pause)
            pause = min(2 * pause, 0.25)


_current: list[_Meetings] = []


def meet(given: Any = None) -> list[Any]:
    """Wait until every process is here; what each has given, by rank. All processes call it.

    However long another process takes, it is waited for, as long as it says that it goes on.

    Args:
        given: plain values.

    Raises:
        MachineError: a process is lost.
    """
    if not (dist.is_initialized() and dist.get_world_size() > 1):
        return [given]
    store = dist.distributed_c10d._get_default_store()
    if not _current or _current[0].store is not store:
        _current[:] = [_Meetings(store)]
    return _current[0].meet(given)


def first_of_machine() -> bool:
    """Whether this process is the one of its machine that does what one of each machine has to do."""
    rank = dist.get_rank() if dist.is_initialized() else 0
    return int(os.environ.get("LOCAL_RANK", rank)) == 0


def require_agreement(facts: Mapping[str, Any], advice: str = SAME) -> None:
    """Compare plain values, which are to be the same on every process; all processes call it.

    Args:
        facts: by name; the first that differs is named in the error.
        advice: what to do, the end of the error.

    Raises:
        ConfigError: on every process.
    """
    (first, own), *others = meet([socket.gethostname(), dict(facts)])
    for name in own:
        for rank, (machine, theirs) in enumerate(others, start=1):
            if theirs.get(name) != own[name]:
                raise ConfigError(
                    f"{name} differs between the processes (rank {rank} on {machine}: {theirs.get(name)}; "
                    f"rank 0 on {first}: {own[name]}); {advice}"
                )
