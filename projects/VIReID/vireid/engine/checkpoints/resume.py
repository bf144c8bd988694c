"""Going on with a run: which checkpoint, and whether the config still is the run's."""

import logging
import random
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from fastreid.utils import comm

from vireid.config.changes import changed_keys
from vireid.engine.checkpoints.checkpoint import WITHIN_EPOCH, check_tags, read_checkpoint
from vireid.engine.checkpoints.digest import content_digest
from vireid.errors import CheckpointError, ConfigError
from vireid.files import refuse_machine_fault
from vireid.meeting import require_agreement
from vireid.runs import BEST, FINAL

logger = logging.getLogger("fastreid.vireid.resume")


class Place(NamedTuple):
    """How far a run has come: epochs that are finished, evaluation included, and steps of the next one."""

    epoch: int
    step: int = 0


class Found(NamedTuple):
    """A checkpoint that a run may go on from."""

    place: Place
    path: Path


def place_of(path: Path) -> Place | None:
    """Where the run of a checkpoint was, whose weights are not read; None where it does not say, or where
    there is none."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        epoch, step = content.get("epoch"), content.get("step")
        return Place(epoch + 1) if step is None else Place(epoch, int(step))
    except Exception as error:  # whatever a damaged file gives; it is said by read_newest
        refuse_machine_fault(error, path)
        return None


def checkpoints_of_run(folder: str | Path) -> list[Found]:
    """The checkpoints of a folder that say how far they are, newest first."""
    found = []
    for path in sorted(Path(folder).glob("model_*.pth")):
        place = place_of(path)
        if place is None:
            _warn(f"{path} cannot be resumed from: it is damaged, or records no epoch")
        else:
            found.append(Found(place, path))
    # Of one epoch, the one whose name tells it comes first.
    rank = {BEST: 0, WITHIN_EPOCH: 1}
    return sorted(found, key=lambda one: (one.place, rank.get(one.path.stem, 2), one.path), reverse=True)


def recorded_seed(folder: str | Path) -> int | None:
    """The seed of the run whose checkpoints a folder holds; None for none. SEED -1 draws it for a new run."""
    for found in checkpoints_of_run(folder):
        seed = torch.load(found.path, map_location="cpu", weights_only=True, mmap=True).get("seed")
        if isinstance(seed, int):
            return seed
    return None


def read_newest(folder: str | Path, epochs: int) -> tuple[Found, dict[str, Any]] | None:
    """The newest checkpoint of a run that is whole, the same on every process, and its content; None where
    the folder has none.

    Args:
        epochs: SOLVER.MAX_EPOCH. Where a training has gone on beyond them, and has not finished, the
            checkpoint of their end comes first.

    Raises:
        ConfigError: machines do not find the same files.
        CheckpointError: there are some, and each is damaged.
    """
    candidates = checkpoints_of_run(folder)
    if candidates and candidates[0].place > Place(epochs) and candidates[0].path.stem != FINAL:
        candidates.sort(key=lambda one: one.place != Place(epochs))
    newest = None
    for found in candidates:
        try:
            newest = found, read_checkpoint(found.path)
            break
        except CheckpointError as error:
            _warn(f"{error}; looking for an older one")
    held = sorted(path.name for path in Path(folder).glob("model_*.pth"))
    told = f"none that is whole of {', '.join(held)}" if held else "none"
    if newest is not None:
        (place, path), content = newest
        weights = content_digest(content["model"])[:16] if comm.get_world_size() > 1 else ""
        told = f"{path.name} of epoch {place.epoch}, weights {weights}"
    require_agreement(
        {f"the checkpoint of --resume in OUTPUT_DIR {folder}": told},
        "share the folder among the machines, or copy it to all",
    )
    if held and newest is None:
        raise CheckpointError(
            f"--resume: none of {', '.join(held)} in {folder} can be resumed from; to start from the weights "
            "of one, set MODEL.WEIGHTS to it, choose another OUTPUT_DIR, and leave out --resume"
        )
    return newest


def refuse_other_run(folder: str | Path) -> None:
    """Refuse to start from the beginning where a run's checkpoints are.

    Raises:
        ConfigError: names some of them.
    """
    held = sorted(path.name for path in Path(folder).glob("model_*.pth"))
    if held:
        raise ConfigError(
            f"OUTPUT_DIR {folder} holds {', '.join(held[:3])} of another run, which would be lost: --resume "
            "goes on with it; or choose another OUTPUT_DIR, or delete that one"
        )


def newest_state(
    folder: str | Path, record: dict[str, Any], datasets: list[Any], *, force: bool
) -> tuple[Found, dict[str, Any]] | None:
    """``read_newest`` of a run that this one is to go on with.

    Args:
        record: of this run, see ``vireid.engine.checkpoints.saving.run_record``.
        datasets: that it trains on.
        force: whether it may be another experiment.

    Raises:
        CheckpointError: see ``read_newest``; or it is of another split of a dataset.
        ConfigError: this run is another experiment; names each change with both values.
    """
    newest = read_newest(folder, record["config"]["SOLVER.MAX_EPOCH"])
    if newest is not None:
        found, content = newest
        check_tags(content, datasets, str(found.path))
        _check_same_experiment(content, record, found.path, force=force)
    return newest


def _check_same_experiment(
    content: dict[str, Any], record: dict[str, Any], source: Path, *, force: bool
) -> None:
    if not isinstance(content.get("config"), dict):
        logger.info(f"{source} records no config: whether this one is the same cannot be checked")
        return
    allowed, refused = changed_keys(content["config"], record["config"])
    for key in ("num_images", "num_classes"):
        if content.get(key) != record[key]:
            refused.append(f"{key} of the training set {content.get(key)} -> {record[key]}")
    if refused and not force:
        raise ConfigError(
            f"--resume: {source} is of another experiment: {'; '.join(refused)}. Set "
            f"{'it' if len(refused) == 1 else 'them'} back; or choose another OUTPUT_DIR for a new run; or "
            "--force-resume goes on nevertheless"
        )
    if allowed or refused:
        logger.info(f"Resuming with a changed config: {'; '.join([*refused, *allowed])}")


def generator_states() -> list[dict[str, Any]]:
    """The states of the random generators of every process, as plain values; called by all of them."""
    version, numbers, gauss = random.getstate()
    name, keys, *numpy_rest = np.random.get_state()  # noqa: NPY002
    states: dict[str, Any] = {
        "python": [version, list(numbers), gauss],
        "numpy": [str(name), torch.from_numpy(np.asarray(keys).astype(np.int64)), *numpy_rest],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    gathered: list[dict[str, Any]] = comm.all_gather(states)
    return gathered


def restore_generators(states: list[dict[str, Any]]) -> None:
    """Set the generators of this process to what ``generator_states`` gave."""
    if len(states) != comm.get_world_size():
        _warn(
            f"the checkpoint is of {len(states)} processes: the draws of patch masks and dropout in the rest "
            "of this epoch are others"
        )
        return
    own = states[comm.get_rank()]
    version, numbers, gauss = own["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *numpy_rest = own["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *numpy_rest))  # noqa: NPY002
    torch.set_rng_state(own["torch"])
    if "cuda" in own and torch.cuda.is_available():
        torch.cuda.set_rng_state(own["cuda"])


def _warn(message: str) -> None:
    if comm.is_main_process():
        logger.warning(message)
