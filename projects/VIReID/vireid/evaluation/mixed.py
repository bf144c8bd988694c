"""Galleries of both modalities: mix-modality retrieval (Liu et al., arXiv 2412.04719), as defined here.

A mixed setting is a published one in whose galleries some images are replaced by images of the queries' own
modality. We could not read how the paper draws its galleries, so the draw is ours:

- The gallery keeps its size, and each place its person: an image is replaced by one of the same identity.
- Places and images are drawn by ``random.Random(trial)``. A larger share replaces what a smaller one does,
  and more.
- A protocol that leaves images out by keys does so here: SYSU-MM01 every image of the query's place, LLCM
  every image of the query's identity and camera. RegDB and lists have no such rule: they never compare images
  of one camera. Here they do, so images of the query's modality, identity and camera are left out.

A query thus never finds itself, or its person in another image of its camera.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vireid.errors import UserError
from vireid.evaluation.arrays import is_integer, labels_of_images
from vireid.evaluation.trials import Setting, Trial
from vireid.modality import Modality

LARGEST_SHARE = 99  # percent: something of the published gallery stays


def mixed_settings(
    settings: Sequence[Setting],
    pids: Any,
    camids: Any,
    modalities: Any,
    percents: Iterable[int],
    searchable: Any = None,
) -> tuple[Setting, ...]:
    """Each setting with each share of gallery images that are of the queries' own modality.

    Args:
        settings: in which all queries are of one modality, and no gallery image is.
        pids, camids, modalities: (N,) of the test images, which the trials' positions index.
        percents: 0..99; 0 gives the very trials of the setting.
        searchable: (N,) bool, which images may stand in a gallery; None: all.

    Returns:
        "<setting> with <percent>% infrared", or visible where visible images are the queries.

    Raises:
        UserError: another percent; a setting that has both modalities among its queries or in a gallery
            already; too few images of the queries' modality for a share.
    """
    pids, camids, modalities = labels_of_images(pids=pids, camids=camids, modalities=modalities)
    may_stand = np.ones(len(pids), dtype=bool) if searchable is None else np.asarray(searchable, dtype=bool)
    percents = list(dict.fromkeys(percents))
    for percent in percents:
        if not is_integer(percent) or not 0 <= percent <= LARGEST_SHARE:
            raise UserError(f"a mixed gallery of {percent!r} percent; expected 0 to {LARGEST_SHARE}")
    _, own_camera = np.unique(np.stack([pids, camids]), axis=1, return_inverse=True)
    own_camera = own_camera.ravel().astype(np.int64)
    found = []
    for setting in settings:
        asked = _modality_of_queries(setting, modalities)
        name = asked.name.lower()
        pool = np.flatnonzero(may_stand & (modalities == asked))
        stated = _stated_keys(setting, len(pids))
        for percent in percents:
            trials = []
            for seed, trial in enumerate(setting.trials):
                images = pool if trial.query_keys is None else pool[stated[pool] >= 0]
                keys = own_camera if trial.query_keys is None else stated
                try:
                    trials.append(_mixed(trial, pids, images, keys, percent, seed) if percent else trial)
                except UserError as error:
                    raise UserError(
                        f'setting "{setting.name}", trial {seed}, with {percent}% {name}: {error}'
                    ) from None
            draw = f"{setting.draw}; {percent}% of the gallery replaced by {name} images of the same persons"
            found.append(
                replace(
                    setting,
                    name=f"{setting.name} with {percent}% {name}",
                    trials=tuple(trials),
                    draw=draw if percent else setting.draw,
                    mixed=percent,
                )
            )
    return tuple(found)


def own_modality_first(dist: np.ndarray, pids: Any, own: np.ndarray, exclude: np.ndarray | None) -> float:
    """The share of the queries whose first answer is of their own modality; 0..1.

    Args:
        dist: (Q, G) distances, finite; equal ones go by gallery position.
        pids: the identities (Q,) of the queries and (G,) of the gallery; a query without an allowed match
            is not counted, as in all metrics.
        own: (Q, G) bool, True where both images are of one modality.
        exclude: (Q, G) bool, True where a gallery image is left out for a query; None: nowhere.
    """
    query_pids, gallery_pids = pids
    match = query_pids[:, None] == gallery_pids[None, :]
    if exclude is not None:
        match &= ~exclude
        dist = np.where(exclude, np.inf, dist)
    counted = np.flatnonzero(match.any(axis=1))
    first = np.argmin(dist[counted], axis=1)
    return float(own[counted, first].mean()) if len(counted) else 0.0


def _mixed(
    trial: Trial, pids: np.ndarray, pool: np.ndarray, keys: np.ndarray, percent: int, seed: int
) -> Trial:
    """A trial with a share of its gallery replaced by images of ``pool``, which have the (N,) ``keys``."""
    generator = random.Random(seed)
    shuffled = pool.tolist()
    generator.shuffle(shuffled)
    images: dict[int, list[int]] = {}
    for position in shuffled:
        images.setdefault(int(pids[position]), []).append(position)
    gallery = trial.gallery.copy()
    places = list(range(len(gallery)))
    generator.shuffle(places)
    count = round(len(gallery) * percent / 100)
    replaced: list[int] = []
    for place in places:
        of_person = images.get(int(pids[gallery[place]]))
        if of_person and len(replaced) < count:
            gallery[place] = of_person.pop()
            replaced.append(place)
    if len(replaced) < count:
        raise UserError(
            f"{count} of {len(gallery)} gallery images are to be replaced, and the test images suffice for "
            f"{len(replaced)}: ask for a smaller share"
        )
    if trial.gallery_keys is None:
        gallery_keys = np.full(len(gallery), -1, dtype=np.int64)  # no query's: the others are not left out
    else:
        gallery_keys = trial.gallery_keys.copy()
    gallery_keys[replaced] = keys[gallery[replaced]]
    return Trial(trial.query, gallery, keys[trial.query], gallery_keys)


def _stated_keys(setting: Setting, num_images: int) -> np.ndarray:
    """(N,) the key that the trials give each image; -1 where none does."""
    keys = np.full(num_images, -1, dtype=np.int64)
    for trial in setting.trials:
        if trial.query_keys is not None and trial.gallery_keys is not None:
            keys[trial.query] = trial.query_keys
            keys[trial.gallery] = trial.gallery_keys
    return keys


def _modality_of_queries(setting: Setting, modalities: np.ndarray) -> Modality:
    """The one modality of a setting's queries.

    Raises:
        UserError: there are two, or its galleries have images of it.
    """
    asked = {kind for trial in setting.trials for kind in np.unique(modalities[trial.query]).tolist()}
    searched = {kind for trial in setting.trials for kind in np.unique(modalities[trial.gallery]).tolist()}
    if len(asked) != 1 or asked & searched:
        raise UserError(
            f'setting "{setting.name}" has one modality among both queries and gallery: there is nothing to '
            "mix in"
        )
    return Modality(asked.pop())
