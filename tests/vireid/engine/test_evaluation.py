"""From a model to rows and pictures: flip, re-ranking, shares of processes, frozen modules, rankings."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from fastreid.evaluation.query_expansion import aqe
from fastreid.modeling import build_model
from fastreid.modeling.meta_arch.baseline import Baseline
from fastreid.utils.compute_dist import compute_jaccard_distance
from PIL import Image
from torch import nn
from torch.nn import functional as F

from configs import tiny_config
from mcja.mser import MSER
from vireid.data import build_dataset, build_test_loader
from vireid.data.verification import verify
from vireid.engine.evaluation import evaluate_dataset, evaluate_model, extract_test_set
from vireid.engine.extraction import NotFiniteFeaturesError, extract_features
from vireid.engine.hooks import PreciseBN
from vireid.engine.rerankers import ToolkitReranker
from vireid.engine.scoring import used_positions
from vireid.errors import UserError
from vireid.evaluation import evaluate_settings, rank_metrics
from vireid.visualize import ranking
from vireid.visualize.scored import choose_queries, scored_trial


@pytest.fixture
def cfg(datasets, tmp_path):
    return tiny_config(DATASETS__TRIALS=2, TEST__MSER__K1=5, TEST__MSER__K2=3, OUTPUT_DIR=str(tmp_path))


@pytest.fixture
def model(cfg):
    torch.manual_seed(0)
    return build_model(cfg).eval()


def test_a_flipped_image_is_averaged_with_the_image_and_each_is_normalized_once(cfg, model, monkeypatch):
    loader = build_test_loader(cfg, build_dataset(cfg, "SYSUMM01").test[::5])
    batches = [{**batch, "images": batch["images"].float()} for batch in loader]  # the toolkit's form
    pictures = [(batch["images"].clone(), batch["modalities"]) for batch in batches]
    with torch.no_grad():
        plain, mirrored = (
            torch.cat([model({"images": turn(images), "modalities": kinds}) for images, kinds in pictures])
            for turn in (torch.clone, lambda images: images.flip(3))
        )
    assert F.cosine_similarity(plain, mirrored).min() < 0.9999  # the mirror image is another one
    for images in (batches, loader):  # float, and uint8 as our loader gives it
        found = extract_features(model, images, flip=True)["image"]
        torch.testing.assert_close(found, (plain + mirrored) / 2, rtol=1e-4, atol=1e-5)
    # The toolkit's normalization, in place, is what this would find: the mirror image of a normalized one.
    in_place = Baseline.preprocess_image.__wrapped__
    monkeypatch.setattr(model, "preprocess_image", partial(in_place, model))
    twice = extract_features(model, batches, flip=True)["image"]
    assert (twice - (plain + mirrored) / 2).abs().max() > 0.01


def test_the_toolkits_test_options_do_what_the_toolkit_does(cfg, model):
    """AQE, RERANK, ROC and METRIC against the toolkit's own functions on the same features."""
    dataset = build_dataset(cfg, "SYSUMM01")
    setting = dataset.settings(1)[0]
    trial = setting.trials[0]
    features = extract_features(model, build_test_loader(cfg, dataset.test))["image"]
    pids = torch.tensor([item.pid for item in dataset.test])
    labels = pids[trial.query], pids[trial.gallery]

    def figures(dist):
        return rank_metrics(dist, *labels, exclude=trial.exclude(), unique_pids=True).percent()

    cfg.TEST.AQE.ENABLED = cfg.TEST.RERANK.ENABLED = cfg.TEST.ROC.ENABLED = True
    cfg.TEST.AQE.QE_K, cfg.TEST.RERANK.K1, cfg.TEST.RERANK.K2 = 3, 6, 3
    plain, ranked, *_ = evaluate_dataset(cfg, model, dataset, "SYSUMM01")
    expanded = aqe(features[trial.query], features[trial.gallery], 1, 3, 3.0)
    expanded = [F.normalize(part) for part in expanded]
    jaccard = compute_jaccard_distance(torch.cat(expanded), k1=6, k2=3, search_option=3)
    count = len(trial.query)
    dist = 0.7 * jaccard[:count, count:] + 0.3 * (1 - expanded[0] @ expanded[1].T).numpy()
    for name, value in figures(dist).items():
        assert ranked.result.trials[0][name] == pytest.approx(value, abs=1e-6), name
    rates = {"TPR@FPR=1e-04", "TPR@FPR=1e-03", "TPR@FPR=1e-02"}
    assert rates < set(ranked.result.mean) and rates < set(plain.result.mean)
    assert ranked.result.trials[0]["mAP"] != plain.result.trials[0]["mAP"]

    cfg.TEST.AQE.ENABLED = cfg.TEST.RERANK.ENABLED = cfg.TEST.ROC.ENABLED = False
    cfg.TEST.METRIC = "euclidean"
    euclidean = evaluate_dataset(cfg, model, dataset, "SYSUMM01")[0]
    dist = torch.cdist(features[trial.query].double(), features[trial.gallery].double())
    for name, value in figures(dist).items():
        assert euclidean.result.trials[0][name] == pytest.approx(value, abs=1e-6), name
    assert not rates & set(euclidean.result.mean)


def test_a_reranked_row_stands_beside_the_plain_one(cfg, model):
    dataset = build_dataset(cfg, "SYSUMM01")
    plain = evaluate_dataset(cfg, model, dataset, "SYSUMM01")
    cfg.TEST.RERANKER = "MSER"
    both = evaluate_dataset(cfg, model, dataset, "SYSUMM01")
    names = [row.name for row in plain]
    assert [row.name for row in both] == [n for name in names for n in (name, f"{name} + MSER")]
    assert [row.result for row in both[::2]] == [row.result for row in plain]
    extracted = extract_test_set(cfg, model, dataset, dataset.settings(2), MSER.from_config(cfg), "")
    distance = MSER.from_config(cfg).bind(extracted.features)
    expected = evaluate_settings(
        extracted.features["image"], extracted.pids, extracted.settings, distance=distance
    )
    assert [row.result for row in both[1::2]] == list(expected.values())
    assert [row.name for row in evaluate_dataset(cfg, model, dataset, "SYSUMM01", rerank=False)] == names


def test_the_toolkits_switches_name_their_rows(cfg, model):
    cfg.TEST.AQE.ENABLED = cfg.TEST.RERANK.ENABLED = True
    cfg.TEST.AQE.QE_K, cfg.TEST.RERANK.K1, cfg.TEST.RERANK.K2 = 3, 6, 3
    figures = evaluate_model(cfg, model)["SYSUMM01"]
    assert list(figures)[:2] == [
        "all-search single-shot",
        "all-search single-shot + query expansion + k-reciprocal",
    ]


@pytest.mark.parametrize(
    ("settings", "reference"),
    [
        ({}, lambda cfg: ToolkitReranker("cosine")),
        ({"TEST.METRIC": "euclidean"}, lambda cfg: ToolkitReranker("euclidean")),
        ({"TEST.RERANKER": "MSER"}, MSER.from_config),
        (
            {"TEST.RERANK.ENABLED": True, "TEST.RERANK.K1": 6, "TEST.RERANK.K2": 3},
            ToolkitReranker.from_config,
        ),
    ],
    ids=["cosine", "euclidean", "MSER", "k-reciprocal"],
)
def test_the_picture_shows_the_ranking_that_the_table_scores(cfg, model, monkeypatch, settings, reference):
    cfg.merge_from_list([item for pair in settings.items() for item in pair])
    drawn = []
    monkeypatch.setattr(ranking, "draw_ranking", drawn.extend)
    name = "indoor-search multi-shot"
    scored = scored_trial(cfg, model, name)
    rows = choose_queries(scored, "spread", 4).tolist()
    _, line = ranking.ranking_picture(scored, rows, top=5)
    assert name in line and "4 of" in line and len(drawn) == 4

    dataset = build_dataset(cfg, "SYSUMM01")
    setting = {setting.name: setting for setting in dataset.settings(1)}[name]
    reranker = reference(cfg)
    extracted = extract_test_set(cfg, model, dataset, (setting,), reranker, "")
    (trial,) = extracted.settings[0].trials
    dist = np.asarray(reranker.bind(extracted.features)(trial, extracted.settings[0]), dtype=np.float64)
    dist = np.where(trial.exclude(), np.inf, dist)
    for shown in drawn:
        row = next(i for i, item in enumerate(trial.query) if extracted.items[item].path == shown.query.path)
        order = [i for i in np.argsort(dist[row], kind="stable") if np.isfinite(dist[row][i])]
        ranked = [extracted.items[trial.gallery[i]] for i in order]
        assert [item.path for item in shown.first] == [item.path for item in ranked[:5]]
        right = next(rank for rank, item in enumerate(ranked, start=1) if item.pid == shown.query.pid)
        assert shown.nearest_right == ((right, ranked[right - 1]) if right > 5 else None)


def test_right_and_wrong_images_differ_in_more_than_color(cfg):
    """In gray: the mark of a right image, and of a wrong one, and the captions."""
    items = build_dataset(cfg, "SYSUMM01").test
    query, right = items[0], next(item for item in items[1:] if item.pid == items[0].pid)
    gray = [
        np.asarray(ranking.draw_ranking([ranking.RankedList(query, [item], None)]).convert("L"), dtype=int)
        for item in (right, right._replace(pid=right.pid + 1))
    ]
    assert (np.abs(gray[0] - gray[1]) > 100).sum() > 20


def test_the_nearest_right_image_is_shown_where_none_is_among_the_first(cfg):
    items = build_dataset(cfg, "SYSUMM01").test
    query = items[0]
    others = [item for item in items if item.pid != query.pid]
    right = next(item for item in items[1:] if item.pid == query.pid)
    shown = ranking.ranked_list(query, [*others[:7], right], top=5)
    assert shown.nearest_right == (8, right) and shown.first == others[:5]
    assert ranking.ranked_list(query, [right, *others], top=5).nearest_right is None
    widths = [ranking.draw_ranking([row]).width for row in (shown, replace(shown, nearest_right=None))]
    assert widths[0] > widths[1]


def test_an_empty_share_of_the_images_gives_no_features(cfg, model):
    found = extract_features(model, build_test_loader(cfg, []), views=("image", "red"))
    assert {view: features.numel() for view, features in found.items()} == {"image": 0, "red": 0}


def test_modules_that_were_frozen_stay_frozen(cfg, model):
    model.train()
    model.backbone.eval()  # as the toolkit's LayerFreeze hook leaves it
    dataset = build_dataset(cfg, "SYSUMM01")
    extract_features(model, build_test_loader(cfg, dataset.test[:4]))
    assert model.training and model.heads.training and not model.backbone.training


def test_precise_statistics_are_estimated_on_batches_with_their_labels():
    class Recorder(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(2)
            self.seen = []

        def forward(self, batch):
            self.seen.append(batch["targets"].tolist())
            return self.norm(batch["images"])

    torch.manual_seed(0)
    batches = [{"images": torch.randn(8, 2) + i, "targets": torch.arange(8)} for i in range(3)]
    model = Recorder().train()
    PreciseBN(model, iter(batches), num_iter=3).update_stats()
    assert model.seen == [list(range(8))] * 3
    expected = torch.stack([batch["images"].mean(dim=0) for batch in batches]).mean(dim=0)
    torch.testing.assert_close(model.norm.running_mean, expected)


def test_the_toolkits_rerankers_refuse_features_whose_distances_overflow():
    with pytest.raises(UserError, match="features: the largest value is .*: L2-normalize the features"):
        ToolkitReranker("cosine", reciprocal=(4, 2, 0.3)).bind({"image": torch.randn(6, 3) * 1e20})


def test_the_scale_of_features_does_not_matter_to_cosine_distances():
    query, gallery = torch.randn(3, 4), torch.randn(5, 4)
    reranker = ToolkitReranker("cosine")
    torch.testing.assert_close(reranker.rank(query * 1e-14, gallery * 1e14), reranker.rank(query, gallery))


def test_a_model_whose_features_say_nothing(cfg, model, caplog):
    """All weights zero: all features are those of the norm's bias, or zero."""
    dataset = build_dataset(cfg, "SYSUMM01")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.heads.bottleneck[0].bias.fill_(1)
        evaluate_dataset(cfg, model, dataset, "SYSUMM01", rerank=False)
        images = len(used_positions(dataset.settings(2)))
        expected = f"SYSUMM01: {images} of {images} images have nearly the features of another image"
        assert [line for line in caplog.messages if line.startswith(expected)]
        assert 'setting "all-search single-shot": equal distances decide 100 % of the ranks' in caplog.text
        model.heads.bottleneck[0].bias.zero_()
        with pytest.raises(
            NotFiniteFeaturesError, match=f"SYSUMM01: {images} of {images} features are zero: rows"
        ):
            evaluate_dataset(cfg, model, dataset, "SYSUMM01", rerank=False)


def test_queries_without_a_match_are_counted_beside_the_figures(cfg, model, tmp_path, caplog):
    """A query of one of eight identities has a match, and is the first: Rank-1 is 100."""
    lines = ["path,identity,camera,modality,subset"]
    for number in range(8):
        for modality, pid in (("rgb", 0), ("ir", number)):
            name = f"{modality}{number}.png"
            Image.fromarray(np.full((32, 16, 3), 20 * number, np.uint8)).save(tmp_path / name)
            lines.append(
                f"{name},P{pid},{modality == 'ir'},{modality},{'query' if modality == 'ir' else 'gallery'}"
            )
    (tmp_path / "list.csv").write_text("\n".join(lines))
    cfg.DATASETS.LIST.FILE, cfg.DATASETS.TESTS = str(tmp_path / "list.csv"), ("List",)
    caplog.set_level("INFO", "fastreid")
    assert evaluate_model(cfg, model)["List"]["infrared-to-visible"]["Rank-1"] == 100
    assert "List, infrared-to-visible: 1 of 8 queries have a match; gallery of 8 images" in caplog.text
    row = json.loads((tmp_path / "results.json").read_text())["results"]["List"]["infrared-to-visible"]
    assert row["counts"] == {"queries": [8, 8], "with a match": [1, 1], "gallery": [8, 8]}
    found = verify(build_dataset(cfg, "List"), progress=False)
    told = "infrared-to-visible: 7 of 8 queries have no match among 8 gallery images, and count in no figure"
    assert told in found.faults
