"""Tracks scored as one: the protocol of HITSZ-VCM, means and best distances, in plain loops."""

import numpy as np
import pytest
import torch

from plain_ranking import plain_metrics
from vireid.errors import UserError
from vireid.evaluation import best_of_tracks, evaluate_settings, mean_of_tracks, vcm_settings
from vireid.evaluation.tracks import strip_positions


def images(seed=0):
    """(pid, camera, query, track) of the images of some tracks, shuffled."""
    rng = np.random.default_rng(seed)
    rows = []
    for track in range(40):
        row = (rng.integers(5), rng.integers(1, 4), track % 2, track)
        rows += [row] * rng.integers(1, 6)
    rows = [rows[i] for i in rng.permutation(len(rows))]
    return [np.array(column) for column in zip(*rows)]


def test_the_protocol_equals_a_plain_loop_over_tracks():
    pids, camids, queries, tracks = images()
    features = np.random.default_rng(1).standard_normal((len(pids), 8)) + np.eye(8)[pids]
    settings = vcm_settings(pids, camids, queries, tracks)
    found = evaluate_settings(features, pids, settings)
    first = sorted({list(tracks).index(track) for track in tracks})
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for setting, side in zip(settings, (1, 0)):
        query, gallery = ([i for i in first if queries[i] == kind] for kind in (side, 1 - side))
        own = [[(pids[q], camids[q]) == (pids[g], camids[g]) for g in gallery] for q in query]
        cmc, mean_ap, mean_inp, _ = plain_metrics(
            -unit[query] @ unit[gallery].T, pids[query], pids[gallery], np.array(own)
        )
        expected = [100 * value for value in (*cmc[[0, 4, 9, 19]], mean_ap, mean_inp)]
        np.testing.assert_allclose(list(found[setting.name].mean.values()), expected)


def test_tracks_on_one_side_alone_are_refused():
    with pytest.raises(
        UserError, match="2 of the 2 tracks are queries; expected some, and some that are not"
    ):
        vcm_settings([1, 1], [1, 2], [True, True], [0, 1])
    with pytest.raises(
        UserError, match="2 pids, 2 camids, 1 queries, 2 tracks: there must be as many of each"
    ):
        vcm_settings([1, 1], [1, 2], [True], [0, 1])


def test_means_and_best_distances_equal_plain_loops():
    rng = np.random.default_rng(2)
    features, tracks = rng.standard_normal((30, 5)) * 10.0, rng.integers(0, 6, 30) * 3
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    numbers = sorted(set(tracks))
    expected = [np.mean([unit[i] for i in range(30) if tracks[i] == number], axis=0) for number in numbers]
    np.testing.assert_allclose(mean_of_tracks(features, tracks), expected)
    assert mean_of_tracks(torch.from_numpy(features).float(), tracks).dtype == torch.float32
    dist, others = rng.random((30, 20)), rng.integers(0, 4, 20)
    best = best_of_tracks(dist, tracks, others)
    for row, number in enumerate(numbers):
        for column, other in enumerate(sorted(set(others))):
            pairs = [
                dist[q, g] for q in range(30) for g in range(20) if (tracks[q], others[g]) == (number, other)
            ]
            assert best[row, column] == min(pairs)
    with pytest.raises(UserError, match="30 features and 29 tracks"):
        mean_of_tracks(features, tracks[1:])
    with pytest.raises(UserError, match="20 gallery distances and 19 tracks"):
        best_of_tracks(dist, tracks, others[1:])
    with pytest.raises(UserError, match="0 features and 0 tracks"):
        mean_of_tracks(features[:0], tracks[:0])


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 12, 13, 100])
def test_frames_are_those_of_the_released_code(count):
    """Its clips: ceil(count / n) frames each, filled up with the last one; single frames of a short track."""
    frames = 6
    length = 1 if count < frames else -(-count // frames)
    filled = [*range(count), *[count - 1] * (length * frames)][: length * frames]
    clips = [filled[length * s : length * (s + 1)] for s in range(frames)]
    assert strip_positions(count, frames).tolist() == [clip[0] for clip in clips]
    drawn = [strip_positions(count, frames, np.random.default_rng(seed)) for seed in range(200)]
    for s, clip in enumerate(clips):
        assert {int(row[s]) for row in drawn} == set(clip)
