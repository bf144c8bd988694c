"""The toolkit's own calls that this plugin serves: for a config of VIReID, and where the toolkit is wrong.

What serves them stands in ``vireid.engine.toolkit_calls``, which is above this package: it hands itself over.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from yacs.config import CfgNode

from vireid.errors import ConfigError, DatasetError
from vireid.host.patching import replaces
from vireid.registries import SAMPLER_REGISTRY

VIREID = "VIReID"
ours: Any  # vireid.engine.toolkit_calls
_accept_rates: dict[str, float] = {}  # of the pairs that were looked at last


def serve_calls(module: Any) -> None:
    """Let a module serve the calls: it has a function for each."""
    global ours
    ours = module


def is_vireid(cfg: CfgNode, architecture: str = "", sampler: str = "") -> bool:
    """Whether a config is of this plugin: its meta-architecture is VIReID or made of it, or a stranger's that
    is trained with one of this plugin's samplers; not one of the toolkit's.

    Args:
        architecture, sampler: in the place of the config's.
    """
    from fastreid.modeling.meta_arch import META_ARCH_REGISTRY

    kind = META_ARCH_REGISTRY._obj_map.get(architecture or cfg.MODEL.META_ARCHITECTURE)
    if kind is None or any(base.__name__ == VIREID for base in kind.__mro__):
        return "SEED" in cfg
    sampler = sampler or cfg.DATALOADER.SAMPLER_TRAIN
    return not kind.__module__.startswith("fastreid.") and sampler in SAMPLER_REGISTRY


@replaces(
    "fastreid.config.config:CfgNode.merge_from_file",
    "it knows neither names of configs nor lists under _BASE_, and does not say which function adds an "
    "unknown key",
)
def _merged(original: Any, cfg: CfgNode, cfg_filename: Any, allow_unsafe: bool = False) -> None:
    if allow_unsafe or "://" in str(cfg_filename):
        original(cfg, cfg_filename, allow_unsafe)
    else:
        ours.merge_file(cfg, str(cfg_filename))


@replaces("fastreid.engine.defaults:DefaultTrainer.__init__", "it knows neither our samplers nor our loaders")
def _trainer(original: Any, trainer: Any, cfg: CfgNode) -> None:
    if not is_vireid(cfg):
        original(trainer, ours.ready(cfg) if "SEED" in cfg else cfg)
        return
    trainer.__class__ = ours.trainer_class(type(trainer))  # what a subclass overrides stays overridden
    ours.VIReIDTrainer.__init__(trainer, ours.ready(cfg))


@replaces(
    "fastreid.engine.defaults:DefaultTrainer.test", "it knows one list of queries and one of gallery images"
)
def _tested(original: Any, kind: type, cfg: CfgNode, model: Any) -> Any:
    return ours.evaluate_model(cfg, model) if is_vireid(cfg) else original(kind, cfg, model)


@replaces(
    "fastreid.data.build:build_reid_train_loader",
    "it does not know our samplers; its errors about datasets do not say what to do",
)
def _train_loader(original: Any, *args: Any, **settings: Any) -> Any:
    cfg = _config(args, settings)
    if cfg is None:
        return original(*args, **settings)
    if is_vireid(cfg):
        _refuse("build_reid_train_loader", settings, "cfg", "combineall")
        return ours.train_loader(cfg)
    if cfg.DATALOADER.SAMPLER_TRAIN in SAMPLER_REGISTRY:
        raise ConfigError(
            f"DATALOADER.SAMPLER_TRAIN is {cfg.DATALOADER.SAMPLER_TRAIN}, which is for "
            f"MODEL.META_ARCHITECTURE {VIREID}, and that is {cfg.MODEL.META_ARCHITECTURE}; name one of the "
            "toolkit's, such as NaiveIdentitySampler"
        )
    with _dataset_errors("NAMES", cfg.DATASETS.NAMES):
        return original(*args, **settings)


@replaces(
    "fastreid.data.build:build_reid_test_loader", "it does not know modalities; its errors are as those above"
)
def _test_loader(original: Any, *args: Any, **settings: Any) -> Any:
    cfg = _config(args, settings)
    if cfg is None:
        return original(*args, **settings)
    if is_vireid(cfg):
        _refuse("build_reid_test_loader", settings, "cfg", "dataset_name")
        return ours.test_loader(cfg, settings["dataset_name"])
    with _dataset_errors("TESTS", [settings.get("dataset_name")]):
        return original(*args, **settings)


def _config(args: tuple[Any, ...], settings: dict[str, Any]) -> CfgNode | None:
    given = args[0] if args else settings.get("cfg")
    return given if isinstance(given, CfgNode) else None


def _refuse(call: str, settings: dict[str, Any], *known: str) -> None:
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise ConfigError(
            f"{call}: {', '.join(unknown)} cannot be given with MODEL.META_ARCHITECTURE {VIREID}: the config "
            "names datasets, transforms and the sampler"
        )


@contextmanager
def _dataset_errors(key: str, names: Any) -> Iterator[None]:
    try:
        yield
    except (KeyError, RuntimeError, AssertionError) as error:  # not registered; a folder that is missing
        reason = str(error).strip("\"'")
        raise DatasetError(
            f"DATASETS.{key} is {list(names)}: {reason}; FASTREID_DATASETS names the folder of the datasets"
        ) from error


@replaces(
    "fastreid.evaluation.evaluator:inference_on_dataset",
    "its evaluators see one list of features; a loader of VIReID is scored under the protocol of its dataset",
)
def _evaluated(original: Any, model: Any, data_loader: Any, evaluator: Any, flip_test: bool = False) -> Any:
    from fastreid.evaluation import ReidEvaluator

    if hasattr(data_loader, "tested") and type(evaluator) is ReidEvaluator:
        return ours.evaluate_loader(evaluator.cfg, model, data_loader)
    return original(model, data_loader, evaluator, flip_test)


@replaces(
    "fastreid.evaluation.reid_evaluation:ReidEvaluator.evaluate",
    "it would score our datasets under Market-1501's rule",
)
def _scored(original: Any, evaluator: Any) -> Any:
    if is_vireid(evaluator.cfg):
        raise ConfigError(
            f"ReidEvaluator cannot score MODEL.META_ARCHITECTURE {VIREID} from features alone: use "
            "DefaultTrainer.test(cfg, model), or inference_on_dataset with a loader of build_reid_test_loader"
        )
    results = original(evaluator)
    if results and evaluator.cfg.TEST.ROC.ENABLED:
        results.update(_accept_rates)  # where two thresholds accept as many false ones, the toolkit takes any
    return results


@replaces("fastreid.engine.defaults:DefaultPredictor.__call__", "it has no modality")
def _predicted(original: Any, predictor: Any, image: Any, modality: Any = "auto") -> Any:
    if is_vireid(predictor.cfg):
        return ours.embeddings(predictor.model, image, modality)
    return original(predictor, image)


@replaces(
    "fastreid.utils.checkpoint:Checkpointer._load_file",
    "since PyTorch 2.6, torch.load refuses a checkpoint with a number of NumPy; nor does it know safetensors",
)
def _read(original: Any, checkpointer: Any, f: str) -> Any:
    return ours.read_checkpoint(f)


@replaces(
    "fastreid.utils.checkpoint:Checkpointer._load_model",
    "with weights of one stream, it leaves stems as they are",
)
def _loaded(original: Any, checkpointer: Any, checkpoint: Any) -> Any:
    if not hasattr(checkpointer.model, "modality_specific"):
        return original(checkpointer, checkpoint)
    ours.load_weights(checkpointer.model, checkpoint.pop("model"), "the checkpoint", strict=False)
    return None


@replaces(
    "fastreid.utils.compute_dist:build_dist",
    "re-ranking (jaccard) needs a GPU, a faiss for GPUs and memory for all pairs; vireid.evaluation computes "
    "the same distances without",
)
def _distances(original: Any, feat_1: Any, feat_2: Any, metric: str = "euclidean", **settings: Any) -> Any:
    if metric == "jaccard":
        return ours.k_reciprocal_jaccard(feat_1, feat_2, settings["k1"], settings["k2"])
    return original(feat_1, feat_2, metric, **settings)


@replaces(
    "fastreid.evaluation.roc:evaluate_roc",
    "its labels are exchanged, so that perfect scores give 0; now TPR@FPR is the share of matched pairs that "
    "are accepted, and threshold@FPR the distance below which they are",
)
def _pairs(original: Any, *args: Any, **settings: Any) -> Any:
    distances, mismatched = original(*args, **settings)
    _accept_rates.clear()
    _accept_rates.update(ours.accept_rates(distances[mismatched == 0], distances[mismatched == 1]))
    return -distances, 1 - mismatched
