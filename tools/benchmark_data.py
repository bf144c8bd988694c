"""The ``data`` subject of benchmark.py: how fast training images are read, and who waits for them.

Images are generated, in a folder that is deleted at the end. For each recipe, one thread reads batches of
them from the files, as in a first epoch, and from a cache in memory (DATALOADER.CACHE ram). In turns with it,
FastReID's own pipeline reads the same images: its resize, padding with crop, flip, erasing where the recipe
erases, and collation. Seconds are of CPU time, the median of the rounds. The limit of a cached image is one
copy of its pixels.

Then a network trains, by default a small one on the CPU, while worker processes read the files: how much of a
step is spent waiting for the batch. The first batch of an epoch is left out and given by itself, because the
epochs here have nine batches, and those of SYSU-MM01 hundreds. All of it takes one to three minutes on two
cores.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RECIPES = {"AGW": "vireid/sysu", "PMCM": "pmcm/sysu", "MCJA": "mcja/sysu"}
BATCH = 64
WARM_UP = 3  # steps that are not counted

EXAMPLES = """
examples:
  python tools/benchmark.py data
  python tools/benchmark.py data --json data.json
  python tools/benchmark.py data --only MCJA --size 288 144 --rounds 20
  python tools/benchmark.py data INPUT.INTERPOLATION bicubic    # the filter of FastReID, for all recipes
  python tools/benchmark.py data --training pmcm/sysu --device cuda --workers 8
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subject takes beside --json."""
    parser.add_argument("--only", choices=RECIPES, help="one recipe, and no training")
    parser.add_argument(
        "--size",
        nargs=2,
        type=int,
        default=(384, 192),
        metavar=("H", "W"),
        help="of a sample (default 384 192)",
    )
    parser.add_argument(
        "--source",
        nargs=2,
        type=int,
        default=(288, 144),
        metavar=("H", "W"),
        help="of the generated JPEG files (default 288 144)",
    )
    parser.add_argument("--rounds", type=int, default=12, metavar="N", help=f"of {BATCH} images (default 12)")
    parser.add_argument("--steps", type=int, default=60, metavar="N", help="of the training (default 60)")
    parser.add_argument("--training", default="pmcm/demo", metavar="CONFIG", help="default: pmcm/demo")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of the training")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="of the training (default 1)")
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs of the configs")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    from synthvi import generate_dataset

    with tempfile.TemporaryDirectory() as folder:
        os.environ["FASTREID_DATASETS"] = folder
        generate_dataset(
            "sysu", Path(folder) / "SYSU-MM01", identities=24, images=4, seed=0, size=tuple(arguments.source)
        )
        figures: dict[str, Any] = {
            "machine": f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores",
            "size": list(arguments.size),
            "source": list(arguments.source),
            "recipes": {},
        }
        height, width = arguments.size
        print(f"images/s of one core at {height}x{width}; in brackets, times FastReID's own")
        print("| recipe | FastReID's own | uncached | cached | limit of cached |")
        print("| --- | --- | --- | --- | --- |")
        for name in [arguments.only] if arguments.only else RECIPES:
            found = figures["recipes"][name] = _recipe(RECIPES[name], arguments)
            own, uncached, cached, limit = (found[key] for key in ("toolkit", "uncached", "cached", "copy"))
            print(
                f"| {name} | {own:,.0f} | {uncached:,.0f} ({found['uncached_ratio']:.2f}) | "
                f"{cached:,.0f} ({found['cached_ratio']:.1f}) | {limit:,.0f} |"
            )
        if not arguments.only:
            figures["training"] = waited = _training(arguments)
            print(
                f"a training step of {waited['images']} images with {arguments.workers} workers: "
                f"{1000 * waited['step']:.0f} ms, of which {100 * waited['waiting']:.2f} % wait for data; "
                f"an epoch's first batch takes {1000 * waited['first_batch']:.0f} ms"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def _recipe(config: str, arguments: argparse.Namespace) -> dict[str, float]:
    """images/s of a recipe, of the toolkit's pipeline for the same images, and of copying their pixels."""
    import torch

    from vireid.data import build_train_loader
    from vireid.engine import full_config

    torch.set_num_threads(1)
    work: dict[str, Callable[[list[Any]], Any]] = {}
    for place in ("", "ram"):
        opts = ["INPUT.SIZE_TRAIN", str(list(arguments.size)), "DATALOADER.CACHE", place]
        opts += [
            "DATALOADER.NUM_WORKERS",
            "0",
            "SOLVER.IMS_PER_BATCH",
            str(BATCH),
            "DATALOADER.NUM_INSTANCE",
            "4",
        ]
        cfg = full_config(config, [*opts, *arguments.opts])
        loader = build_train_loader(cfg)
        work["cached" if place else "uncached"] = loader.dataset.__getitems__
        if place:
            loader.dataset.__getitems__([(index, 0) for index in range(len(loader.dataset))])
    work["toolkit"] = _toolkit(cfg, loader.dataset.items)
    pixels, copy = (np.zeros((BATCH, 3, *arguments.size), np.uint8) for _ in range(2))
    work["copy"] = lambda samples: np.copyto(copy, pixels)
    seconds: dict[str, list[float]] = {name: [] for name in work}
    batches = _endless(loader.batch_sampler)
    for number in range(1 + arguments.rounds):
        samples = next(batches)
        for name, read in work.items():
            started = time.process_time()
            read(samples)
            if number:
                seconds[name].append((time.process_time() - started) / len(samples))
    rates = {name: 1 / float(np.median(times)) for name, times in seconds.items()}
    ratios = {
        f"{name}_ratio": float(np.median(np.divide(seconds["toolkit"], seconds[name])))
        for name in ("uncached", "cached")
    }
    return rates | ratios


def _endless(sampler: Any) -> Any:
    epoch = 0
    while True:
        sampler.set_epoch(epoch)
        yield from sampler
        epoch += 1


def _toolkit(cfg: Any, items: list[Any]) -> Callable[[list[Any]], Any]:
    """A function that reads a batch as FastReID does."""
    import warnings

    from fastreid.data.build import fast_batch_collator
    from fastreid.data.common import CommDataset
    from fastreid.data.transforms import build_transforms

    cfg = cfg.clone()
    cfg.INPUT.FLIP.ENABLED = cfg.INPUT.PADDING.ENABLED = True
    cfg.INPUT.REA.ENABLED = "RandomErasing" in cfg.INPUT.INFRARED_TRANSFORMS
    warnings.filterwarnings("ignore", message="TypedStorage is deprecated")
    dataset = CommDataset([item[:3] for item in items], build_transforms(cfg, is_train=True))
    return lambda samples: fast_batch_collator([dataset[index] for index, _ in samples])


def _training(arguments: argparse.Namespace) -> dict[str, Any]:
    """The median step of a training, and the share of all steps that waits for a batch."""
    import torch

    from vireid.data import build_train_loader
    from vireid.engine import full_config
    from vireid.engine.models import build_model
    from vireid.engine.step import OptimizationStep, build_optimizer

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    opts = ["MODEL.DEVICE", arguments.device, "MODEL.BACKBONE.PRETRAIN", "False"]
    opts += ["DATALOADER.NUM_WORKERS", str(arguments.workers), *arguments.opts]
    cfg = full_config(arguments.training, opts)
    loader = build_train_loader(cfg)
    cfg.MODEL.HEADS.NUM_CLASSES = loader.dataset.num_classes
    model = build_model(cfg).train()
    step = OptimizationStep(model, loader, build_optimizer(cfg, model), cfg)
    finish = torch.cuda.synchronize if arguments.device == "cuda" else lambda: None
    epochs = _endless_batches(loader)
    waits, steps, firsts = [], [], []
    for number in range(WARM_UP + arguments.steps):
        started = time.perf_counter()
        batch = next(epochs)
        waited = time.perf_counter()
        step(batch)
        finish()
        if number % len(loader) == 0:  # the worker has only begun to read
            firsts.append(waited - started)
        elif number >= WARM_UP:
            waits.append(waited - started)
            steps.append(time.perf_counter() - started)
    return {
        "images": cfg.SOLVER.IMS_PER_BATCH,
        "size": list(cfg.INPUT.SIZE_TRAIN),
        "step": float(np.median(steps)),
        "waiting": sum(waits) / sum(steps),
        "first_batch": float(np.median(firsts)),
    }


def _endless_batches(loader: Any) -> Any:
    epoch = 0
    while True:
        loader.batch_sampler.set_epoch(epoch)
        yield from loader
        epoch += 1
