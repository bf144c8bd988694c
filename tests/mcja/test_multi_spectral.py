from pathlib import Path

import numpy as np
import pytest
import torch

from mcja.multi_spectral import MultiSpectralReranker, multi_spectral_rerank
from plain_ranking import plain_mser
from vireid.errors import ConfigError, UserError

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "mser.npz")
CASES = [name for name in GOLDEN if name.startswith(("i2v_", "v2i_"))]


def unit_features(*shape, seed=0):
    """Of one person in all spectra: the first axis varies the last two little."""
    generator = np.random.default_rng(seed)
    features = generator.standard_normal(shape[-2:]) + 0.3 * generator.standard_normal(shape)
    return (features / np.linalg.norm(features, axis=-1, keepdims=True)).astype(np.float32)


def both_sides(direction, queries, gallery, spectra=4, size=12):
    visible = {"i2v": gallery, "v2i": queries}[direction]
    infrared = {"i2v": queries, "v2i": gallery}[direction]
    visible = list(unit_features(spectra, visible, size, seed=1))
    infrared = [unit_features(infrared, size, seed=2)]
    return (infrared, visible) if direction == "i2v" else (visible, infrared)


@pytest.mark.parametrize("name", CASES)
def test_published_reference(name):
    direction, among_queries, k1, k2, lambda_value = name.split("_")
    if direction == "i2v":
        queries, galleries = [GOLDEN["ir_query"]], list(GOLDEN["rgb_gallery"])
    else:
        queries, galleries = list(GOLDEN["rgb_query"]), [GOLDEN["ir_gallery"]]
    found = multi_spectral_rerank(
        queries,
        galleries,
        int(k1),
        int(k2),
        float(lambda_value),
        query_neighbours_only=among_queries == "1",
        direction=direction,
    )
    np.testing.assert_allclose(found, GOLDEN[name], atol=3e-3)


@pytest.mark.parametrize("direction", ["i2v", "v2i"])
@pytest.mark.parametrize("query_neighbours_only", [True, False])
@pytest.mark.parametrize(
    ("queries", "gallery", "spectra", "k1", "k2", "lambda_value"),
    [(40, 15, 4, 10, 4, 0.3), (25, 40, 3, 24, 25, 0.0), (12, 5, 1, 3, 2, 1.0), (20, 1, 2, 5, 3, 0.5)],
)
def test_equals_dense_loops(
    direction, query_neighbours_only, queries, gallery, spectra, k1, k2, lambda_value
):
    sides = both_sides(direction, queries, gallery, spectra)
    found = multi_spectral_rerank(
        *sides, k1, k2, lambda_value, query_neighbours_only=query_neighbours_only, direction=direction
    )
    expected = plain_mser(*sides, k1, k2, lambda_value, query_neighbours_only)
    assert found.shape == (queries, gallery) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("query_neighbours_only", [True, False])
def test_one_reranker_serves_many_galleries(query_neighbours_only, monkeypatch):
    options = {"query_neighbours_only": query_neighbours_only}
    queries, _ = both_sides("i2v", 40, 1)
    galleries = [list(unit_features(4, size, 12, seed=size)) for size in (5, 30, 5)]
    expected = [multi_spectral_rerank(queries, each, 10, 4, 0.3, **options) for each in galleries]
    monkeypatch.setattr("vireid.evaluation.neighbours._BLOCK_VALUES", 300)
    reranker = MultiSpectralReranker([torch.from_numpy(queries[0])], 10, 4, 0.3, **options)
    for each, result in zip(galleries, expected):
        found = reranker.rank([torch.from_numpy(part).double() for part in each])
        np.testing.assert_allclose(found, result, atol=1e-6)


def test_permuting_queries_or_gallery_permutes_the_result():
    queries, galleries = both_sides("i2v", 40, 15)
    options = {"query_neighbours_only": True}
    found = multi_spectral_rerank(queries, galleries, 10, 4, 0.3, **options)
    rows, columns = np.random.default_rng(0).permutation(40), np.random.default_rng(1).permutation(15)
    again = multi_spectral_rerank([queries[0][rows]], [g[columns] for g in galleries], 10, 4, 0.3, **options)
    np.testing.assert_allclose(again, found[rows][:, columns], atol=1e-5)


@pytest.mark.parametrize("query_neighbours_only", [True, False])
def test_equal_images_everywhere_are_equally_near(query_neighbours_only):
    """All distances are 0 but for rounding, and so are the maxima that they are divided by."""
    same = np.tile(unit_features(1, 8), (20, 1))
    found = multi_spectral_rerank([same], [same] * 4, 5, 3, 0.3, query_neighbours_only=query_neighbours_only)
    assert np.ptp(found) < 1e-6


@pytest.mark.gpu
@pytest.mark.parametrize("query_neighbours_only", [True, False])
def test_features_on_a_gpu(query_neighbours_only, gpu):
    queries, galleries = both_sides("i2v", 60, 20)
    options = {"query_neighbours_only": query_neighbours_only}
    expected = multi_spectral_rerank(queries, galleries, 10, 4, 0.3, **options)
    on_gpu = [[torch.from_numpy(part).to(gpu) for part in side] for side in (queries, galleries)]
    np.testing.assert_allclose(multi_spectral_rerank(*on_gpu, 10, 4, 0.3, **options), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"k1": 40}, ConfigError, "k1 is 40, but the queries are 40 images"),
        (
            {"k1": 200, "query_neighbours_only": False},
            ConfigError,
            "k1 is 200, but the queries and galleries",
        ),
        ({"k2": 1}, ConfigError, r"k2 in 2\.\.k1 \+ 1 with neighbours among the queries only"),
        ({"k2": 0, "query_neighbours_only": False}, ConfigError, r"k2 in 1\.\.k1 \+ 1$"),
        ({"k2": 12}, ConfigError, "k1 is 10 and k2 12"),
        ({"lambda_value": 1.5}, ConfigError, "lambda_value is 1.5"),
        ({"direction": "v2v"}, ConfigError, 'direction is "v2v"'),
        ({"queries": [np.ones((40, 12))] * 4}, UserError, "queries holds 4 feature sets; the infrared side"),
        ({"galleries": []}, UserError, "galleries is empty"),
        ({"galleries": [np.ones((0, 12))] * 4}, UserError, "at least one"),
        ({"galleries": [np.ones((3, 12)), np.ones((4, 12))]}, UserError, r"galleries hold \[3, 4\] images"),
        ({"galleries": [np.ones((3, 11))] * 4}, UserError, "queries have 12 dimensions, galleries 11"),
        ({"galleries": [np.full((3, 12), np.inf)]}, UserError, r"galleries\[0\]: 3 of 3 features are NaN"),
        (
            {"direction": "v2i", "galleries": [np.ones((3, 12))] * 2},
            UserError,
            "galleries holds 2 feature sets",
        ),
    ],
)
def test_errors(change, error, message):
    queries, galleries = both_sides("i2v", 40, 15)
    arguments = {
        "queries": queries,
        "galleries": galleries,
        "k1": 10,
        "k2": 4,
        "lambda_value": 0.3,
        "query_neighbours_only": True,
    }
    with pytest.raises(error, match=message):
        multi_spectral_rerank(**(arguments | change))


@pytest.mark.parametrize("among_queries", [True, False])
@pytest.mark.parametrize("scale", [1e20, 1e-20])
def test_features_whose_distances_overflow_or_vanish_are_refused(among_queries, scale):
    features = torch.randn(30, 8) * scale
    with pytest.raises(UserError, match=r"queries\[0\]: the largest value is .*: L2-normalize the features"):
        multi_spectral_rerank(
            [features[:10]], [features[10:]], 4, 2, 0.3, query_neighbours_only=among_queries
        )
