"""Cases of a fuzz: each is tried, and either refused in one line or accepted."""

import random
import signal
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from vireid.errors import UserError

SECONDS = 120  # a case that takes longer hangs


@dataclass
class Tally:
    """How the cases of one category ended.

    Attributes:
        failures: cases that ended in anything but a refusal or an acceptance, and how.
    """

    tried: int = 0
    refused: int = 0
    accepted: int = 0
    failures: list[str] = field(default_factory=list)


def attempt(tally: Tally, case: str, act: Callable[[], Any], seconds: int = SECONDS) -> None:
    """Try a case and count how it ends.

    Args:
        case: what it is, for the list of failures.
        act: does it. A UserError of one line is a refusal; any other exception is a failure, also the
            AssertionError by which it says that what was accepted is wrong.
        seconds: how long it may take.
    """
    tally.tried += 1
    try:
        with limited(seconds):
            act()
    except UserError as error:
        message = str(error)
        if not message or "\n" in message or len(message) > 2000:
            tally.failures.append(f"{case}: a refusal that is not one line: {message[:200]!r}")
        else:
            tally.refused += 1
    except Exception as error:
        tally.failures.append(f"{case}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
    else:
        tally.accepted += 1


@contextmanager
def limited(seconds: int) -> Any:
    """Raise TimeoutError in what takes longer."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"it takes more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 10)  # again: a callback from compiled code ignores it
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def damaged(content: bytes, draw: random.Random) -> tuple[str, bytes]:
    """A file's bytes with some of them changed, and how."""
    way = draw.choice(
        ["bit", "bit", "bit", "byte", "bytes", "cut", "gap", "zeros", "grown", "empty", "noise"]
    )
    data, place = bytearray(content), draw.randrange(max(len(content), 1))
    if way == "bit" and data:
        data[place] ^= 1 << draw.randrange(8)
    elif way == "byte" and data:
        data[place] = draw.choice([0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)])
    elif way == "bytes":
        data[place : place + 8] = draw.randbytes(8)
    elif way == "cut":
        del data[place:]
    elif way == "gap":
        del data[place : place + draw.randrange(1, 64)]
    elif way == "zeros":
        data[place : place + 64] = bytes(64)
    elif way == "grown":
        data[place:place] = draw.randbytes(draw.randrange(1, 64))
    elif way == "empty":
        data.clear()
    elif way == "noise":
        data[:] = draw.randbytes(draw.randrange(1, 4096))
    return f"{way} at {place}", bytes(data)
