"""Calls of the evaluation with arguments of other types, shapes, values and scales."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cases import Tally, attempt

from mcja import multi_spectral_rerank
from vireid.evaluation import (
    Setting,
    SYSUProtocol,
    Trial,
    evaluate_settings,
    k_reciprocal_jaccard,
    llcm_settings,
    rank_metrics,
    regdb_settings,
)
from vireid.evaluation.roc import verification_rates

QUERIES, GALLERY, SIZE = 10, 20, 6
IMAGES = QUERIES + GALLERY


def fuzz(cases: int, seed: int, folder: Path) -> Tally:
    """Call a function with valid arguments, of which one or two are changed."""
    tally, draw = Tally(), random.Random(seed)
    for _ in range(cases):
        name, call = draw.choice(CALLS)
        arguments = ARGUMENTS[name](np.random.default_rng(draw.randrange(2**32)))
        changes = []
        for argument in draw.sample(sorted(arguments), min(draw.choice([1, 1, 2]), len(arguments))):
            change, arguments[argument] = changed(arguments[argument], draw)
            changes.append(f"{argument} {change}")
        attempt(tally, f"{name}: {', '.join(changes)}", lambda c=call, a=arguments: c(**a))
    return tally


def changed(value: Any, draw: random.Random) -> tuple[str, Any]:
    """Another value for an argument, and what was done."""
    if isinstance(value, list):
        if draw.random() < 0.3:
            return "shorter", value[:-1]
        place = draw.randrange(len(value))
        change, item = changed(value[place], draw)
        return f"[{place}] {change}", [*value[:place], item, *value[place + 1 :]]
    if not isinstance(value, np.ndarray):
        other = draw.choice([value, 0, 1, -1, 10**9, 2.5, float("nan"), True])
        return f"is {other!r}", other
    name = draw.choice(sorted(CHANGES))
    return name, CHANGES[name](value, draw)


def at_random(values: np.ndarray, draw: random.Random, put: Any) -> np.ndarray:
    """The values with one of them replaced, as float where it has to be."""
    values = values.astype(float) if isinstance(put, float) else values.copy()
    if values.size:
        values.flat[draw.randrange(values.size)] = put
    return values


CHANGES: dict[str, Callable[[np.ndarray, random.Random], Any]] = {
    "as it is": lambda v, d: v,
    "tensor": lambda v, d: torch.from_numpy(np.ascontiguousarray(v)),
    "list": lambda v, d: v.tolist(),
    "float": lambda v, d: v.astype(float),
    "half": lambda v, d: v.astype(np.float16),
    "int32": lambda v, d: np.nan_to_num(v).astype(np.int32),
    "uint8": lambda v, d: np.abs(v).astype(np.uint8),
    "text": lambda v, d: v.astype(str),
    "object": lambda v, d: v.astype(object),
    "complex": lambda v, d: v.astype(complex),
    "bool": lambda v, d: v.astype(bool),
    "none": lambda v, d: None,
    "scalar": lambda v, d: v.flat[0],
    "empty": lambda v, d: v[:0],
    "shorter": lambda v, d: v[:-1],
    "longer": lambda v, d: np.concatenate([v, v[:1]]),
    "transposed": lambda v, d: v.T,
    "one more axis": lambda v, d: v[None],
    "strided": lambda v, d: np.repeat(v, 2, axis=0)[::2],
    "backwards": lambda v, d: v[::-1],
    "nan": lambda v, d: at_random(v, d, float("nan")),
    "infinite": lambda v, d: at_random(v, d, float("inf")),
    "negative": lambda v, d: at_random(v, d, -1),
    "huge": lambda v, d: at_random(v.astype(np.int64) if v.dtype.kind == "i" else v, d, 2**62),
    "all equal": lambda v, d: np.zeros_like(v),
    "scaled": lambda v, d: (
        v.astype(np.float64) * 10.0 ** d.choice([-300, -40, -20, -10, 10, 20, 38, 100, 300])
    ),
    "a row scaled": lambda v, d: (
        np.where(np.arange(len(v)).reshape(-1, *[1] * (v.ndim - 1)) == 0, 1e20, 1.0) * v
    ),
}


def whole(**result: Any) -> None:
    """Check the figures of a result, in percent."""
    for name, value in result.items():
        assert np.isfinite(value).all() and (np.asarray(value) >= -1e-6).all(), f"{name} is {value}"


def labels(generator: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "dist": generator.random((QUERIES, GALLERY)),
        "query_pids": np.arange(QUERIES) % 5,
        "gallery_pids": np.arange(GALLERY) % 5,
        "exclude": generator.random((QUERIES, GALLERY)) < 0.1,
    }


def call_rank_metrics(**arguments: Any) -> None:
    result = rank_metrics(**arguments)
    whole(cmc=result.cmc, mAP=result.mAP, mINP=result.mINP)
    assert result.mAP <= 1 and result.cmc.max() <= 1


def call_roc(**arguments: Any) -> None:
    rates = verification_rates(**arguments)
    assert np.isfinite(list(rates.values())).all(), rates
    whole(**{name: value for name, value in rates.items() if not name.startswith("threshold@")})


def settings_arguments(generator: np.random.Generator) -> dict[str, Any]:
    return {
        "features": generator.standard_normal((IMAGES, SIZE)).astype(np.float32),
        "pids": np.arange(IMAGES) % 5,
        "query": np.arange(QUERIES),
        "gallery": np.arange(QUERIES, IMAGES),
        "query_keys": np.arange(QUERIES) % 3,
        "gallery_keys": np.arange(GALLERY) % 3,
        "metric": str(generator.choice(["cosine", "euclidean"])),
    }


def call_settings(
    features: Any, pids: Any, query: Any, gallery: Any, query_keys: Any, gallery_keys: Any, metric: Any
) -> None:
    trial = Trial(query, gallery, query_keys, gallery_keys)
    result = evaluate_settings(features, pids, [Setting("some", (trial,), True, "i2v")], metric=metric)
    whole(**result["some"].mean)
    assert max(result["some"].mean.values()) <= 100


def image_arguments(generator: np.random.Generator) -> dict[str, Any]:
    return {
        "features": generator.standard_normal((IMAGES, SIZE)).astype(np.float32),
        "pids": np.repeat(np.arange(5), 6) + 1,
        "camids": np.tile(np.arange(1, 7), 5),
        "numbers": np.ones(IMAGES, dtype=int),
        "modalities": np.tile([0, 0, 1, 0, 0, 1], 5),
        "trials": 2,
    }


def call_datasets(features: Any, pids: Any, camids: Any, numbers: Any, modalities: Any, trials: Any) -> None:
    setting = SYSUProtocol(None, search="all", trials=trials).setting(pids, camids, numbers)
    settings = (setting, *regdb_settings(pids, modalities))
    llcm_settings(pids, camids, modalities, numbers, trials=trials)
    for result in evaluate_settings(features, pids, settings).values():
        whole(**result.mean)


def rerank_arguments(generator: np.random.Generator) -> dict[str, Any]:
    query, gallery = (generator.standard_normal((n, SIZE)).astype(np.float32) for n in (QUERIES, GALLERY))
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (query, gallery)]
    return {"query": unit[0], "gallery": unit[1], "k1": 5, "k2": 3}


def call_jaccard(**arguments: Any) -> None:
    whole(dist=k_reciprocal_jaccard(**arguments))


def mser_arguments(generator: np.random.Generator) -> dict[str, Any]:
    first = rerank_arguments(generator)
    return {
        "queries": [first["query"]],
        "galleries": [rerank_arguments(generator)["gallery"] for _ in range(4)],
        "k1": 5,
        "k2": 3,
        "lambda_value": 0.3,
        "query_neighbours_only": bool(generator.integers(2)),
    }


def call_mser(**arguments: Any) -> None:
    whole(dist=multi_spectral_rerank(**arguments))


ARGUMENTS: dict[str, Callable[[np.random.Generator], dict[str, Any]]] = {
    "rank_metrics": labels,
    "verification_rates": labels,
    "evaluate_settings": settings_arguments,
    "settings of datasets": image_arguments,
    "k_reciprocal_jaccard": rerank_arguments,
    "multi_spectral_rerank": mser_arguments,
}
CALLS: list[tuple[str, Callable[..., None]]] = [
    ("rank_metrics", call_rank_metrics),
    ("verification_rates", call_roc),
    ("evaluate_settings", call_settings),
    ("evaluate_settings", call_settings),
    ("settings of datasets", call_datasets),
    ("k_reciprocal_jaccard", call_jaccard),
    ("multi_spectral_rerank", call_mser),
]
