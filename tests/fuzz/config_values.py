"""Config values: inside and outside what keys may hold, from a command line and from a file."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cases import Tally, attempt

from configs import PROJECTS, TINY, all_keys
from vireid.config.rules import RULES, leaves
from vireid.data.transforms import build_transforms
from vireid.engine import merge_config
from vireid.engine.checks import check_config
from vireid.engine.models import build_model
from vireid.engine.rerankers import build_reranker
from vireid.engine.schedule import build_schedule
from vireid.engine.step import OptimizationStep, build_optimizer
from vireid.evaluation import Setting, Trial
from vireid.evaluation.protocols import evaluate_settings

FILES = ("VIReID/configs/sysu.yml", "PMCM/configs/sysu.yml", "MCJA/configs/sysu.yml")
SMALL = {
    **TINY,
    "MODEL.HEADS.PARTS.COUNT": 2,
    "MODEL.HEADS.NUM_CLASSES": 4,
    "TEST.MSER.K1": 3,
    "TEST.MSER.K2": 2,
    "TEST.RERANK.K1": 4,
    "TEST.RERANK.K2": 2,
}
# Parts without which other keys have no effect.
BESIDE: tuple[dict[str, Any], ...] = (
    {"TEST.RERANKER": "", "TEST.AQE.ENABLED": True},
    {"TEST.RERANKER": "", "TEST.RERANK.ENABLED": True},
    {"SOLVER.CLIP_GRADIENTS.ENABLED": True},
    {"SOLVER.SCHED": "CosineAnnealingLR", "SOLVER.WARMUP_EPOCHS": 0, "SOLVER.WARMUP_ITERS": 5},
    {"SOLVER.OPT": "SGD", "SOLVER.FREEZE_ITERS": 1, "MODEL.FREEZE_LAYERS": ["backbone"]},
    {"MODEL.LOSSES.NAME": ["CrossEntropyLoss", "FocalLoss", "CircleLoss", "Cosface"]},
    {"MODEL.HEADS.CLS_LAYER": "CosSoftmax"},
    {"SOLVER.AMP.ENABLED": True},
    {"INPUT.VISIBLE_TRANSFORMS": ["ColorJitter", "RandomGrayscale", "ChannelExchange", "RandomErasing"]},
    {"INPUT.INFRARED_TRANSFORMS": ["ChannelCutMix", "SpectrumJitter", "HueJitter", "PadCrop"]},
)
# Texts of a command line and of YAML.
NONSENSE = (
    "", " ", "-1", "0", "1", "0.0", "1e30", "-1e30", "1e-30", "nan", "inf", "-inf", ".nan", ".inf", "1" * 400,
    "0x" + "f" * 5000, "True", "None", "null", "~", "[]", "()", "{}", "[-1]", "['x']", '["x"]', "[[]]", "[0]",
    "[1, 2]", "[1, 2, 3]", "[-1, 2, 3]", "['a', 'a']", "[nan]", "{1}", "{1: 2}", "1j", "b'x'", "...", "é",
    "'", '"', "a b", "\x07", "\udcff", "-", "--x", "${HOME}", "%s", "cuda", "cuda:99", "meta", "/dev/null",
    "2026-11-21", "!!set {a}", "!!python/object:os.system", "*a", "&a [*a]", "<<", "a: b", "@", "[" * 3000,
    "lambda: 0", "10**100", "1_000", "0o7", "1,2", "a, b",
)  # fmt: skip
# What would take long or much memory, and is allowed.
EXPENSIVE = {
    "MODEL.HEADS.EMBEDDING_DIM": 256,
    "MODEL.BACKBONE.WIDTH": 32,
    "MODEL.MDA.MODALITIES": 16,
    "TEST.AQE.QE_TIME": 3,
}


def fuzz(cases: int, seed: int, folder: Path) -> Tally:
    """Set one or two keys of a tiny config; where that is accepted, build what the config names, and take a
    step of training and an evaluation."""
    tally, draw = Tally(), random.Random(seed)
    keys = sorted({key for key, _ in leaves(all_keys())} & set(RULES))
    for number in range(cases):
        file = draw.choice(FILES)
        beside = draw.choice(BESIDE) if draw.random() < 0.5 else {}
        groups = {key.rpartition(".")[0] for key in beside}
        related = [key for key in keys if key.rpartition(".")[0] in groups and key not in beside]
        pool = related if related and draw.random() < 0.5 else keys
        chosen = draw.sample(pool, min(draw.choice([1, 1, 1, 2]), len(pool)))
        settings = {key: value_for(key, draw) for key in chosen}
        by_file = draw.random() < 0.4
        case = f"{file}{' by YAML' if by_file else ''} {beside} {settings!r:.200}"
        path = folder / f"{number}.yml" if by_file else None
        attempt(tally, case, lambda f=file, b=beside, s=settings, p=path: try_config(f, b, s, p))
        if path:
            path.unlink(missing_ok=True)
    return tally


def value_for(key: str, draw: random.Random) -> str:
    """A text that a command line may give to a key."""
    rule = RULES[key]
    if draw.random() < 0.6 or not rule.examples:
        return draw.choice(NONSENSE)
    value: Any = draw.choice(rule.examples)
    if isinstance(value, list) and value and draw.random() < 0.3:
        value = draw.choice([value[:-1], [*value, value[0]], [value], value[0], value[::-1]])
    elif isinstance(value, int | float) and not isinstance(value, bool):
        value = draw.choice([value, value, value + 1, value - 1, value * 1.0001, -value, value / 3])
    return str(value)


def try_config(file: str, beside: dict[str, Any], settings: dict[str, str], path: Path | None) -> None:
    """Merge the settings, check the config, and use it."""
    cfg = all_keys()
    merge_config(cfg, str(PROJECTS / file), [])
    cfg.merge_from_list([item for pair in (SMALL | beside).items() for item in pair])
    if path is None:
        merge_config(cfg, "", [item for pair in settings.items() for item in pair])
    else:
        path.write_text("\n".join(yaml_lines(settings)), encoding="utf-8", errors="surrogateescape")
        merge_config(cfg, str(path), [])
    check_config(cfg)
    for key, value in leaves(cfg):
        assert key not in RULES or RULES[key].holds(value), f"{key} is {value!r:.80}, and was accepted"
    if cfg.MODEL.DEVICE != "cpu":
        return
    for key, most in EXPENSIVE.items():
        if RULES[key].holds(most) and max(get(cfg, key), most) > most:
            cfg.merge_from_list([key, most])
    use(cfg)


def yaml_lines(settings: dict[str, str]) -> list[str]:
    """The settings as YAML, their values as they are."""
    lines = []
    for key, value in settings.items():
        *groups, name = key.split(".")
        lines += [f"{'  ' * depth}{group}:" for depth, group in enumerate(groups)]
        lines.append(f"{'  ' * len(groups)}{name}: {value}")
    return lines


def get(cfg: Any, key: str) -> Any:
    """The value of a key with dots."""
    for part in key.split("."):
        cfg = cfg[part]
    return cfg


def use(cfg: Any) -> None:
    """Augment an image, take a step of training, extract and rank."""
    height, width = cfg.INPUT.SIZE_TRAIN
    if max(height, *cfg.INPUT.SIZE_TEST) * max(width, *cfg.INPUT.SIZE_TEST) > 64 * 64:
        return
    for key in ("VISIBLE_TRANSFORMS", "INFRARED_TRANSFORMS"):
        image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
        for transform in build_transforms(cfg, key):
            image = transform(image)
        assert image.shape == (3, height, width) and image.dtype == torch.uint8
    torch.manual_seed(0)
    cfg.MODEL.HEADS.NUM_CLASSES = 4  # a training counts them, whatever the config says
    model = build_model(cfg).train()
    optimizer = build_optimizer(cfg, model)
    schedule = build_schedule(cfg, optimizer, 10)
    step = OptimizationStep(model, None, optimizer, cfg)
    for _ in range(2):
        step(
            {
                "images": torch.randint(0, 256, (8, 3, height, width), dtype=torch.uint8),
                "targets": torch.tensor([0, 0, 1, 1] * 2),
                "camids": torch.zeros(8, dtype=torch.long),
                "modalities": torch.tensor([0] * 4 + [1] * 4),
            }
        )
        step.log.take()
        schedule.step()
    reranker = build_reranker(cfg)
    query, gallery = np.arange(0, 12), np.arange(12, 36)
    setting = Setting("some", (Trial(query, gallery),), unique_pids=False, direction="i2v")
    features = {view: torch.randn(36, 8) for view in (reranker.views if reranker else ("image",))}
    if reranker:
        reranker.check([setting])
    result = evaluate_settings(
        features["image"],
        np.arange(36) % 4,
        [setting],
        metric=cfg.TEST.METRIC,
        distance=reranker.bind(features) if reranker else None,
    )
    assert all(0 <= value <= 100 for value in result["some"].mean.values())
