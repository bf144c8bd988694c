"""Python processes that start at once: forked from one that has imported large libraries, and nothing more.

In such a process neither the toolkit, nor torchvision, nor a package of this repository is imported.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIBRARIES = ("torch._dynamo", "numba", "scipy.io", "scipy.stats", "sklearn.metrics", "PIL.Image", "yaml")


@dataclass(frozen=True)
class Finished:
    """What is left of a process."""

    returncode: int
    stdout: str
    stderr: str


class FreshInterpreters:
    """Starts processes; ``close()`` ends the one that they are forked from."""

    def __init__(self) -> None:
        self.parent = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def run(self, code: str, *arguments: str, path: list[str], cwd: Path, **environment: str) -> Finished:
        """Run ``code``.

        Args:
            arguments: ``sys.argv[1:]``.
            path: what ``sys.path`` has before the standard library and the installed packages.
            cwd: the working directory.
            environment: variables beside those of this process.
        """
        assert self.parent.stdin is not None and self.parent.stdout is not None
        request: dict[str, Any] = {"code": code, "argv": arguments, "path": path, "cwd": str(cwd)}
        request["environment"] = {**os.environ, **environment}
        with tempfile.TemporaryDirectory() as folder:
            self.parent.stdin.write(json.dumps({**request, "output": folder}) + "\n")
            self.parent.stdin.flush()
            status = int(self.parent.stdout.readline())
            return Finished(status, *((Path(folder) / name).read_text() for name in ("stdout", "stderr")))

    def close(self) -> None:
        """End the process that the others are forked from."""
        self.parent.communicate()


def serve() -> None:
    """Read requests, a line each; fork a process for each; print its exit status."""
    for name in LIBRARIES:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    os._exit(0)  # at once: there is nothing to tidy up


def become(request: dict[str, Any]) -> None:
    """Be the process that was asked for, to its end, which comes after five minutes at the latest."""
    signal.alarm(300)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(Path(request["output"]) / name, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    sys.argv = ["-c", *request["argv"]]
    sys.path[:] = [*request["path"], *sys.path[1:]]  # the first is this file's folder
    status: Any = 0
    try:
        exec(compile(request["code"], "<code>", "exec"), {"__name__": "__main__"})
    except SystemExit as exit:
        status = exit.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    serve()
