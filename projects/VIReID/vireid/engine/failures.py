"""What fails on the machine during a training or an evaluation, in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from vireid.errors import MachineError

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
        where = error.filename or f"a file of OUTPUT_DIR {folder}"
        raise MachineError(f"{where}: {error.strerror or error}; {advice}") from None
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker (pid"):  # an error within a worker is named otherwise
            raise
        reason = str(error).splitlines()[0].rstrip(".")
        raise MachineError(f"{reason}. Out of memory? Lower DATALOADER.NUM_WORKERS; {advice}") from None
