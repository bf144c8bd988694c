"""What a resumed run's config says otherwise than the run's before.

A key that a training state does not depend on may change: it is one line in the log. Any other change would
make the second half of a run another experiment than the first, and is refused.
"""

from typing import Any

from yacs.config import CfgNode

from vireid.config.rules import leaves

# Keys, and groups of keys, that may change. Rates are the schedule's: a run that diverged goes on with a
# lower one. Precision, compilation and memory format change the last bits alone.
MAY_CHANGE = (
    "CUDNN_BENCHMARK",
    "DATALOADER.CACHE",
    "DATALOADER.NUM_WORKERS",
    "DATASETS.LIST.SHOTS",
    "DATASETS.SYSUMM01.GALLERY",
    "DATASETS.TESTS",
    "DATASETS.TRIALS",
    "INPUT.CHECK_FILES",
    "INPUT.SIZE_TEST",
    "INPUT.UNREADABLE",
    "LOGGERS",
    "MODEL.BACKBONE.PRETRAIN",
    "MODEL.BACKBONE.PRETRAIN_PATH",
    "MODEL.CHANNELS_LAST",
    "MODEL.DEVICE",
    "MODEL.WEIGHTS",
    "MODEL.WEIGHTS_STRICT",
    "PLUGINS",
    "SOLVER.AMP",
    "SOLVER.BASE_LR",
    "SOLVER.BIAS_LR_FACTOR",
    "SOLVER.CHECKPOINT_MINUTES",
    "SOLVER.CHECKPOINT_PERIOD",
    "SOLVER.CLIP_GRADIENTS",
    "SOLVER.COMPILE",
    "SOLVER.DELAY_EPOCHS",
    "SOLVER.ETA_MIN_LR",
    "SOLVER.GAMMA",
    "SOLVER.HEADS_LR_FACTOR",
    "SOLVER.MAX_EPOCH",
    "SOLVER.SCHED",
    "SOLVER.STEPS",
    "SOLVER.WARMUP_EPOCHS",
    "SOLVER.WARMUP_FACTOR",
    "SOLVER.WARMUP_ITERS",
    "SOLVER.WARMUP_METHOD",
    "TEST",
    "VERBOSE",
    "VERSION",
    "WANDB",
)


def config_record(cfg: CfgNode) -> dict[str, Any]:
    """The keys of a config and their values, as a checkpoint records them: plain values, lists for tuples.
    OUTPUT_DIR is left out: a run's folder may be moved."""
    return {key: _plain(value) for key, value in leaves(cfg) if key != "OUTPUT_DIR"}


def changed_keys(before: dict[str, Any], now: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What one record of a config says otherwise than another, each as "KEY before -> now".

    A key that only one of them has is of another version of the code, and left out.

    Returns:
        Changes that may be, and changes that make it another experiment.
    """
    changed = [key for key in now if key in before and now[key] != before[key]]
    told = {key: f"{key} {before[key]!r} -> {now[key]!r}" for key in changed}
    allowed = [told[key] for key in changed if _may_change(key)]
    return allowed, [told[key] for key in changed if not _may_change(key)]


def _may_change(key: str) -> bool:
    return any(key == entry or key.startswith(f"{entry}.") for entry in MAY_CHANGE)


def _plain(value: Any) -> Any:
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
