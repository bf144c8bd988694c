"""What the toolkit's own calls do for a config of this plugin; ``vireid.host.calls`` brings them here.

What is imported and not used here is called from there.
"""
# ruff: noqa: F401

import sys
from collections import OrderedDict
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from fastreid.engine import DefaultTrainer
from fastreid.utils import comm
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid import host
from vireid.config.files import merge_file
from vireid.data.build import ImageLoader, build_dataset, build_test_loader, build_train_loader
from vireid.engine.checkpoints.checkpoint import AtomicCheckpointer, load_weights, read_checkpoint
from vireid.engine.evaluation import evaluate_dataset, evaluate_model
from vireid.engine.reports import best_metric, flat_means
from vireid.engine.run_setup import completed
from vireid.engine.seeds import endless_batches, seed_everything
from vireid.engine.trainer import VIReIDTrainer
from vireid.evaluation.jaccard import k_reciprocal_jaccard
from vireid.evaluation.roc import accept_rates
from vireid.images import looks_infrared
from vireid.modality import AUTO, MODALITIES, one_modality_each


@cache
def trainer_class(kind: type[DefaultTrainer]) -> type[VIReIDTrainer]:
    """Our trainer with what ``kind``, the toolkit's trainer or made of it, overrides."""
    if kind is DefaultTrainer:
        return VIReIDTrainer
    return type(kind.__name__, (kind, VIReIDTrainer), {"__module__": kind.__module__})


def ready(cfg: CfgNode) -> CfgNode:
    """A checked copy of a config, as ``vireid.engine.setup`` gives it; its OUTPUT_DIR is there.

    Raises:
        ConfigError: see ``vireid.engine.checks.check_config``.
    """
    cfg = cfg.clone()
    cfg.defrost()
    completed(cfg, resumes=True)
    cfg.freeze()
    seed_everything(cfg.SEED + comm.get_rank())
    return cfg


class EndlessLoader:
    """A training loader that goes on from epoch to epoch, as the toolkit's do; its length is that of one."""

    def __init__(self, loader: ImageLoader, seed: int) -> None:
        self.loader, self.dataset, self.batch_sampler = loader, loader.dataset, loader.batch_sampler
        self.seed = seed

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.loader)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The batches of a training that starts from the beginning."""
        return endless_batches(self.loader, 0, 0, self.seed)


def train_loader(cfg: CfgNode) -> EndlessLoader:
    """The batches of our trainer."""
    return EndlessLoader(build_train_loader(cfg), max(cfg.SEED, 0) + 1)


def test_loader(cfg: CfgNode, name: str) -> tuple[ImageLoader, int]:
    """Queries, then gallery, of the first trial of a dataset's first setting, and how many queries.

    The loader has the dataset and its name as ``tested``.
    """
    dataset: Any = build_dataset(cfg, name)
    loader: Any = build_test_loader(cfg, [*dataset.query, *dataset.gallery])
    loader.tested = dataset, name
    return loader, len(dataset.query)


def evaluate_loader(cfg: CfgNode, model: nn.Module, loader: Any) -> OrderedDict[str, float]:
    """All settings of the dataset of a ``test_loader``: "row/metric" -> percent, and TEST.BEST_METRIC as
    "metric"; empty on every process but the first."""
    dataset, name = loader.tested
    means = flat_means({name: evaluate_dataset(cfg, model, dataset, name)})
    figures = [(f"{row}/{key}", value) for row, found in means[name].items() for key, value in found.items()]
    if not figures:
        return OrderedDict()
    return OrderedDict([*figures, ("metric", best_metric(means, cfg.TEST.BEST_METRIC))])


@torch.no_grad()
def embeddings(model: nn.Module, images: Tensor, modality: Any = AUTO) -> Tensor:
    """Embeddings (N, D) on the CPU, not normalized.

    Args:
        images: (N, 3, H, W) RGB in 0..255.
        modality: as of ``vireid.Embedder``: "visible", "infrared" or "auto"; one for all, or one for each.
    """
    batch = {"images": images}
    if modality != AUTO:  # else the model itself looks at the colors
        names = one_modality_each(modality, len(images))
        found = looks_infrared(images).tolist()
        batch["modalities"] = torch.tensor([int(MODALITIES.get(n, gray)) for n, gray in zip(names, found)])
    predicted: Tensor = model(batch)
    return predicted.cpu()


def evaluate_recipe(cfg: CfgNode) -> Any:
    """Evaluate MODEL.WEIGHTS of a recipe of the toolkit's on DATASETS.TESTS, as its trainer does.

    Raises:
        CheckpointError: it cannot be read, or nothing in it fits.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.BACKBONE.PRETRAIN = False
    model = DefaultTrainer.build_model(cfg)
    checkpointer = AtomicCheckpointer(model)
    checkpointer.strict = False  # its classifier is of the identities that it was trained on
    checkpointer.load(cfg.MODEL.WEIGHTS, checkpointables=[])
    return DefaultTrainer.test(cfg, model)


host.serve_calls(sys.modules[__name__])
