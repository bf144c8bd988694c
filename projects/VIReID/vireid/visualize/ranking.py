"""A picture of queries and what a model ranks first for each: the ranking that the results table scores."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from torch import nn
from yacs.config import CfgNode

from vireid.data.build import build_dataset
from vireid.engine.checks import dataset_settings
from vireid.engine.evaluation import extract_test_set
from vireid.engine.rerankers import build_reranker
from vireid.errors import ConfigError, choices
from vireid.evaluation.arrays import as_array
from vireid.evaluation.features import prepared
from vireid.evaluation.protocols import ranking_distance

RIGHT, WRONG, QUERY = (40, 160, 60), (200, 50, 40), (90, 90, 90)
BORDER, GAP = 3, 6


def ranking_picture(
    cfg: CfgNode, model: nn.Module, *, setting_name: str = "", queries: int = 6, top: int = 10
) -> tuple[Image.Image, str]:
    """Draw queries of the first trial of a setting, spread evenly over it.

    Args:
        cfg: DATASETS.TESTS, of which the first is taken; TEST, by which galleries are ranked and re-ranked.
        model: the meta-architecture.
        setting_name: as in the results table; "" for the first.
        queries: rows of the picture.
        top: gallery images in a row.

    Returns:
        The picture, and a line that says what it shows.

    Raises:
        ConfigError: an unknown setting, or parameters of the re-ranker that do not fit.
    """
    name = cfg.DATASETS.TESTS[0]
    dataset: Any = build_dataset(cfg, name)
    settings = {setting.name: setting for setting in dataset_settings(cfg, dataset, name)}
    if setting_name and setting_name not in settings:
        raise ConfigError(f"--setting {setting_name!r}: {choices(setting_name, settings)}")
    chosen = settings[setting_name] if setting_name else next(iter(settings.values()))
    reranker = build_reranker(cfg)
    if reranker is not None:
        reranker.check([chosen])
    first_trial = replace(chosen, trials=chosen.trials[:1])
    extracted = extract_test_set(cfg, model, dataset, (first_trial,), reranker, name)
    (setting,) = extracted.settings
    (trial,) = setting.trials
    if reranker is not None:
        dist = as_array(reranker.bind(extracted.features)(trial, setting))
    else:
        features = prepared(extracted.features["image"], cfg.TEST.METRIC)
        dist = ranking_distance(features[trial.query], features[trial.gallery], cfg.TEST.METRIC)
    rows = np.linspace(0, len(trial.query) - 1, min(queries, len(trial.query))).astype(int)
    exclude = trial.exclude()
    first = first_ranked(dist[rows], None if exclude is None else exclude[rows], top)
    shown = [extracted.items[i] for i in trial.query[rows]]
    ranked = [[extracted.items[i] for i in trial.gallery[row]] for row in first]
    picture = draw_ranking(
        [item.path for item in shown],
        [[item.path for item in row] for row in ranked],
        [[item.pid == query.pid for item in row] for query, row in zip(shown, ranked)],
    )
    by = f", re-ranked by {reranker.label}" if reranker else ""
    return picture, f"{name}, {setting.name}{by}: {len(rows)} of {len(trial.query)} queries"


def draw_ranking(
    query_paths: Sequence[str],
    gallery_paths: Sequence[Sequence[str]],
    right: Sequence[Sequence[bool]],
    *,
    height: int = 128,
) -> Image.Image:
    """Rows of a query and its gallery images, nearest first, framed green where the identity is right.

    Args:
        query_paths: R images.
        gallery_paths: for each query, its nearest images.
        right: whether each of those is of the query's identity.
        height: of one image in pixels; the width follows from the first query.

    Returns:
        An RGB picture with ranks above the columns.
    """
    with Image.open(query_paths[0]) as first:
        width = round(height * first.width / first.height)
    cell_width, cell_height = width + 2 * BORDER + GAP, height + 2 * BORDER + GAP
    columns = 1 + max(map(len, gallery_paths))
    picture = Image.new("RGB", (columns * cell_width + 3 * GAP, len(query_paths) * cell_height + 18), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((GAP, 3), "query", fill=QUERY)
    for rank in range(1, columns):
        draw.text((rank * cell_width + 3 * GAP, 3), str(rank), fill=QUERY)
    for row, (query, gallery, hits) in enumerate(zip(query_paths, gallery_paths, right)):
        top = 18 + row * cell_height
        _paste(picture, query, (GAP // 2, top), (width, height), QUERY)
        for column, (path, hit) in enumerate(zip(gallery, hits), start=1):
            left = column * cell_width + 3 * GAP
            _paste(picture, path, (left, top), (width, height), RIGHT if hit else WRONG)
    return picture


def _paste(
    picture: Image.Image,
    path: str | Path,
    corner: tuple[int, int],
    size: tuple[int, int],
    color: tuple[int, ...],
) -> None:
    frame = Image.new("RGB", (size[0] + 2 * BORDER, size[1] + 2 * BORDER), color)
    with Image.open(path) as image:
        frame.paste(image.convert("RGB").resize(size), (BORDER, BORDER))
    picture.paste(frame, corner)


def first_ranked(dist: np.ndarray, exclude: np.ndarray | None, count: int) -> np.ndarray:
    """Positions of the nearest allowed gallery images, ties by position.

    Args:
        dist: (Q, G).
        exclude: (Q, G) bool, True where an image is left out; None leaves out none.
        count: how many.

    Returns:
        (Q, count) int64.
    """
    if exclude is not None:
        dist = np.where(exclude, np.inf, dist)
    return np.argsort(dist, axis=1, kind="stable")[:, :count]
