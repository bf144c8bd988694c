"""What stands in for the processes of ``vireid`` that train or evaluate many runs."""

import subprocess
import threading
from pathlib import Path


class ChildProcess:
    """A process that calls ``work(process)``, which returns its exit status, when it is waited for.

    Attributes:
        settings: key -> value, of its command line.
        folder: its OUTPUT_DIR.
        evaluates: whether it runs ``vireid evaluate``.
        threads: of OMP_NUM_THREADS.
        stopped: set by ``terminate``.
    """

    def __init__(self, work, command, environment):
        options = command[command.index("--config-file") + 2 :]
        self.settings = dict(zip(options[::2], options[1::2]))
        self.folder = Path(self.settings["OUTPUT_DIR"])
        self.evaluates = "evaluate" in command
        self.threads = environment["OMP_NUM_THREADS"]
        self.stopped = threading.Event()
        self._work = work

    def wait(self):
        return self._work(self)

    def terminate(self):
        self.stopped.set()


def replace_processes(monkeypatch, work):
    """Let each process that is started be a ``ChildProcess`` of ``work``."""
    monkeypatch.setattr(subprocess, "Popen", lambda command, env, **options: ChildProcess(work, command, env))
