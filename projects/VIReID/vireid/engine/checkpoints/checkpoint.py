"""Checkpoints: written whole or not at all, read without executing code, loaded strictly."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from fastreid.utils.checkpoint import Checkpointer
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from vireid.engine.checkpoints.digest import KEY as DIGEST
from vireid.engine.checkpoints.digest import content_digest, safetensors_digest
from vireid.errors import CheckpointError
from vireid.files import clear_temporary_files, write_atomically
from vireid.modeling.two_stream import for_each_stream
from vireid.modeling.weight_files import read_safetensors, read_tensors

logger = logging.getLogger("fastreid.vireid.checkpoint")

LAST = "last_checkpoint"
SCALER = "grad_scaler"  # the state of fp16's loss scale
WITHIN_EPOCH = "model_within_epoch"  # the one checkpoint that is not of the end of an epoch


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of plain tensors; a bare state dict becomes ``{"model": state dict}``. What a
    ``.safetensors`` file of `vireid export` records in its metadata is as in the checkpoint.

    Raises:
        CheckpointError: no such file, not a checkpoint of tensors and plain values, or not what was saved.
    """
    if str(path).endswith(".safetensors"):
        weights, metadata = read_safetensors(path, "MODEL.WEIGHTS")
        rest = {key: json.loads(value) for key, value in metadata.items() if key != "format"}
        _check_digest(rest.pop(DIGEST, None), lambda: safetensors_digest(weights, metadata), path)
        return {**rest, "model": weights}
    content = read_tensors(path, "MODEL.WEIGHTS")
    if isinstance(content, dict):
        _check_digest(content.pop(DIGEST, None), lambda: content_digest(content), path)
    if isinstance(content, dict) and not isinstance(content.get("model"), dict):
        content = {"model": content}
    if isinstance(content, dict) and _is_state_dict(content["model"]):
        # DistributedDataParallel's prefix
        content["model"] = {name.removeprefix("module."): v for name, v in content["model"].items()}
        return content
    raise CheckpointError(f"{path} holds no state dict: expected a dict of tensors, or one under 'model'")


def _check_digest(saved: Any, found: Callable[[], str], path: str | Path) -> None:
    if saved is None:
        logger.info(f"{path} has no digest: that it is what was saved cannot be checked")
    elif found() != saved:
        raise CheckpointError(f"{path} is damaged: its content is not what was saved (its digest differs)")


def _is_state_dict(weights: dict[Any, Any]) -> bool:
    return bool(weights) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in weights.items())


class AtomicCheckpointer(Checkpointer):
    """The toolkit's Checkpointer with atomic writes, a digest, safe reads and strict loading.

    ``strict`` False takes what fits and logs the rest.

    Attributes:
        averaged: the average of the weights over the steps, where there is one. It is then what a checkpoint
            has under "model", to be evaluated and exported; what is trained is under "training_model".
        models: the model, and the averaged one.
        saved_at: ``time.monotonic()`` of the last save; of the start, where there was none.
    """

    strict = True

    def __init__(self, *args: Any, averaged: AveragedModel | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.averaged = averaged
        self.models = [self.model] if averaged is None else [self.model, averaged.module]
        self.saved_at = time.monotonic()
        if self.save_dir and self.save_to_disk:
            clear_temporary_files(Path(self.save_dir))

    def save(self, name: str, *, tag: bool = True, **extras: Any) -> None:
        """Write ``<save_dir>/<name>.pth`` with the model, the checkpointables and ``extras``.

        A checkpoint within an epoch is removed when a later one is written.

        Args:
            name: without suffix.
            tag: whether a training may go on from it; then ``last_checkpoint`` names it.
            extras: plain Python values.

        Raises:
            MachineError: it cannot be written; the files are as they were before.
        """
        self.saved_at = time.monotonic()
        if not self.save_dir or not self.save_to_disk:
            return
        data = {"model": self.models[-1].state_dict(), **extras}
        if self.averaged is not None:
            data["training_model"] = self.model.state_dict()
            data["averaged_updates"] = int(self.averaged.n_averaged)
        data.update({key: item.state_dict() for key, item in self.checkpointables.items()})
        data[DIGEST] = content_digest(data)
        path = Path(self.save_dir) / f"{name}.pth"
        write_atomically(path, lambda file: torch.save(data, file))
        logger.info(f"Saved {path}")
        if tag:
            self.tag_last_checkpoint(path.name)
            if name != WITHIN_EPOCH:
                (path.parent / f"{WITHIN_EPOCH}.pth").unlink(missing_ok=True)

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        write_atomically(Path(self.save_dir) / LAST, lambda file: file.write(last_filename_basename.encode()))

    def has_checkpoint(self) -> bool:
        return os.path.isfile(self.get_checkpoint_file())

    def get_checkpoint_file(self) -> str:
        try:
            file = super().get_checkpoint_file()
        except UnicodeDecodeError:
            return ""
        return file if file and os.path.isfile(file) else ""

    def _load_file(self, f: str) -> dict[str, Any]:
        return read_checkpoint(f)

    def load(self, path: str, checkpointables: list[str] | None = None) -> dict[str, Any]:
        """Load a checkpoint into the model and, on resume, the checkpointables; return the rest of it.

        Raises:
            CheckpointError: unreadable, or it does not fit (what is missing, extra, of another shape).
        """
        return self.restore(read_checkpoint(path), path, checkpointables) if path else {}

    def restore(
        self, content: dict[str, Any], path: str, checkpointables: list[str] | None = None
    ) -> dict[str, Any]:
        """``load`` of what ``read_checkpoint`` gave for ``path``."""
        weights, updates = content.pop("model"), content.pop("averaged_updates", 0)
        trained = content.pop("training_model", weights)
        # A training goes on with what was trained; another one starts from what was evaluated.
        load_weights(self.model, trained if checkpointables is None else weights, path, strict=self.strict)
        if self.averaged is not None and checkpointables is None:
            load_weights(self.averaged.module, weights, path, strict=self.strict)
            self.averaged.n_averaged.fill_(updates)
        for key in self.checkpointables if checkpointables is None else checkpointables:
            state = content.pop(key, None)
            if state is None and key == SCALER:
                logger.info(f"{path} is of a run without fp16: its loss scale is found anew")
            else:
                self._load_state(key, state, path)
        logger.info(f"Loaded {path}")
        return content

    def _load_state(self, key: str, state: Any, path: str) -> None:
        own = self.checkpointables[key]
        reason = "it is not there" if state is None else ""
        if isinstance(own, torch.optim.Optimizer) and not reason:
            # The settings come from the config: only what the optimizer has gathered is restored.
            settings = [{k: v for k, v in group.items() if k != "params"} for group in own.param_groups]
            saved = [{*group} - {"params"} for group in state.get("param_groups", [])]
            if [keys | {"initial_lr"} for keys in saved] != [{*group, "initial_lr"} for group in settings]:
                reason = "it is of another SOLVER.OPT, or of other parameter groups"
            else:  # before it is loaded: "fused" decides on which device the counts of steps belong
                groups = [{**group, **kept} for group, kept in zip(state["param_groups"], settings)]
                state = {**state, "param_groups": groups}
        if not reason:
            try:
                own.load_state_dict(state)
            except (ValueError, KeyError, TypeError) as error:
                reason = str(error)
        if reason:
            raise CheckpointError(
                f"{path}: its {key} cannot be resumed ({reason}); resume with the SOLVER settings of that "
                "run, or start from its weights alone: MODEL.WEIGHTS, without --resume"
            )


def load_weights(model: torch.nn.Module, weights: dict[str, Tensor], source: str, *, strict: bool) -> None:
    """Load a state dict; one of one stream into every copy of a stem.

    Raises:
        CheckpointError: strict, and something is missing, extra or of another shape; or no weight fits.
    """
    own, (weights, filled) = model.state_dict(), for_each_stream(model, weights)
    if filled:
        logger.info(f"{source} is of one stream: its {', '.join(filled)} fill the copies of every modality")
    missing = [name for name in own if name not in weights]
    extra = [name for name in weights if name not in own]
    reshaped = [
        f"{name} {tuple(value.shape)} for {tuple(own[name].shape)}"
        for name, value in weights.items()
        if name in own and own[name].shape != value.shape
    ]
    problems = [
        f"{len(names)} {what}: {_first(names)}"
        for what, names in (("missing", missing), ("extra", extra), ("of another shape", reshaped))
        if names
    ]
    if problems and strict:
        raise CheckpointError(
            f"{source} does not fit this config's model; {'; '.join(problems)}. Is it from another config? "
            "MODEL.WEIGHTS_STRICT False takes what fits"
        )
    fitting = {
        name: value for name, value in weights.items() if name in own and own[name].shape == value.shape
    }
    if own and not any(value.is_floating_point() for value in fitting.values()):
        raise CheckpointError(f"nothing in {source} fits this config's model; {'; '.join(problems)}")
    if problems:
        logger.warning(f"{source} fits in part; {'; '.join(problems)}")
    model.load_state_dict(fitting, strict=False)


def _first(names: Iterable[str], count: int = 4) -> str:
    names = list(names)
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def checkpoint_tag(dataset: Any) -> dict[str, Any]:
    """What a checkpoint trained on this dataset must agree on to be tested on it; the toolkit's own
    datasets have nothing of the kind."""
    return dataset.checkpoint_tag() if hasattr(dataset, "checkpoint_tag") else {}


def check_tags(checkpoint: dict[str, Any], datasets: list[Any], source: str) -> None:
    """Refuse a checkpoint that was trained on another split of one of these datasets.

    Raises:
        CheckpointError: names both splits.
    """
    trained = checkpoint.get("datasets")
    if not isinstance(trained, dict):
        return
    for dataset in datasets:
        name = type(dataset).__name__
        theirs = trained.get(name, {})
        for key, value in checkpoint_tag(dataset).items():
            if key in theirs and theirs[key] != value:
                raise CheckpointError(
                    f"{source} was trained on {name} {key} {theirs[key]}, but the config "
                    f"says {value}: identities it was trained on could be tested. Set it to {theirs[key]}"
                )
