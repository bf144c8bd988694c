"""Ending a training from outside: signals, and a launcher that dies."""

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from fastreid.utils import comm

from vireid.data.build import end_lost_worker
from vireid.errors import MachineError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# torchrun passes on a signal which a terminal or a cluster has sent to every process: the two are one.
SAME_SIGNAL_SECONDS = 2.0
GRACE_SECONDS = 60  # what a process has to end by itself once its launcher is gone
WORKER_SECONDS = 30  # what a data worker goes on for after SIGTERM


class Interrupted(KeyboardInterrupt):
    """A signal has ended a training.

    Attributes:
        exit_status: 128 + the signal's number, as a shell reports it: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_status = 128 + number


class StopSignals:
    """While entered, SIGINT and SIGTERM are noted; a second one ends the process at once.

    Python calls signal handlers in its main thread; in any other one nothing is noted.

    Attributes:
        received: the number of the signal, 0 for none yet.
    """

    def __init__(self) -> None:
        self.received = 0
        self._noted_at = 0.0
        self._at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        launched = "LOCAL_RANK" in os.environ
        if self.received and not (launched and time.monotonic() - self._noted_at < SAME_SIGNAL_SECONDS):
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        if not self.received:
            self.received, self._noted_at = number, time.monotonic()
            if self._at_once:
                raise Interrupted(f"stopped by {self.name}", number)

    @property
    def name(self) -> str:
        """SIGINT or SIGTERM."""
        return signal.Signals(self.received).name

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal, also one noted before, raise Interrupted where the program is."""
        if self.received:
            raise Interrupted(f"stopped by {self.name}", self.received)
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def agreed(self, due: bool) -> tuple[int, bool]:
        """The signal that any process has received, and whether the first one's ``due`` is set: the same on
        every process; called by all of them after the same step."""
        if comm.get_world_size() == 1:
            return self.received, due
        both = torch.tensor([self.received, int(due and comm.is_main_process())])
        torch.distributed.all_reduce(both, torch.distributed.ReduceOp.MAX, comm._get_global_gloo_group())
        number, asked = both.tolist()
        if number and not self.received:  # this process's own signal may come in a moment
            self.received, self._noted_at = number, time.monotonic()
        return number, bool(asked)


def keep_working(worker: int) -> None:
    """Of a data worker, as its ``worker_init_fn``: go on for a while after a signal to the whole group, so
    that the training process can finish its step."""
    end_lost_worker(worker)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "alarm"):  # on Windows, SIGTERM ends a process in any case
        signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(WORKER_SECONDS))


@contextmanager
def end_with_launcher(seconds: float = GRACE_SECONDS) -> Iterator[None]:
    """While entered, a process that torchrun has started ends after it: first as by SIGTERM, with a
    checkpoint, and ``seconds`` later in any case. A process waits for others of its group without end."""
    done = threading.Event()
    if "LOCAL_RANK" in os.environ:
        threading.Thread(target=_watch, args=(os.getppid(), done, seconds), daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _watch(launcher: int, done: threading.Event, seconds: float) -> None:
    while not done.wait(1.0):
        if os.getppid() != launcher:
            os.kill(os.getpid(), signal.SIGTERM)
            if not done.wait(seconds):
                os._exit(128 + signal.SIGTERM)
            return


# How PyTorch begins to say that a data worker has ended, or that nothing comes from it any more.
LOST = ("DataLoader worker (pid", "Too many open files", "received 0 items of ancdata")
GOES_ON = "once that is mended, --resume goes on from the newest whole checkpoint"


@contextmanager
def machine_errors(folder: str, advice: str = GOES_ON) -> Iterator[None]:
    """Raise, for what the machine did to a run in ``folder``, a MachineError that ends in ``advice``.

    Raises:
        MachineError: a file cannot be written or read, or a data worker has ended.
    """
    try:
        yield
    except MachineError as error:
        raise MachineError(f"{error}; {advice}") from None
    except OSError as error:
        limited = error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
        where = error.filename or ("this process" if limited else f"a file of OUTPUT_DIR {folder}")
        raise MachineError(f"{where}: {error.strerror or error}; {advice}") from None
    except RuntimeError as error:
        if not str(error).startswith(LOST):  # an error within a worker is named otherwise
            raise
        reason = str(error).partition(".")[0]
        raise MachineError(
            f"{reason}. Out of memory? Lower DATALOADER.NUM_WORKERS{_of_open_files()}; {advice}"
        ) from None


def _of_open_files() -> str:
    try:
        import resource
    except ImportError:  # Windows
        return ""
    return f"; of open files? Raise ulimit -n, now {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}"
