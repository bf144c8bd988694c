"""TEST.MIXED_GALLERY and TEST.MODALITY_NORM: further rows, which leave the published ones as they are."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from fastreid.modeling import build_model

from configs import tiny_config
from mcja.mser import MSER
from plain_ranking import plain_metrics
from training import trainer_of
from vireid.data import build_dataset
from vireid.engine.checks import dataset_settings
from vireid.engine.evaluation import evaluate_dataset, evaluate_model, extract_test_set
from vireid.engine.reports import results_record, results_table
from vireid.engine.rerankers import build_reranker
from vireid.engine.scoring import OWN_FIRST, ranking_distances
from vireid.errors import ConfigError
from vireid.evaluation import METRICS, Trial
from vireid.evaluation.open_set import open_set_rates
from vireid.visualize.scored import scored_trial

NAME = "all-search single-shot"


@pytest.fixture
def cfg(datasets, tmp_path):
    return tiny_config(
        TEST__MIXED_GALLERY=[0, 25, 50],
        DATASETS__TRIALS=2,
        TEST__MSER__K1=5,
        TEST__MSER__K2=3,
        OUTPUT_DIR=str(tmp_path),
    )


@pytest.fixture
def model(cfg):
    torch.manual_seed(0)
    return build_model(cfg).eval()


def rows_of(cfg, model):
    dataset = build_dataset(cfg, "SYSUMM01")
    return {row.name: row for row in evaluate_dataset(cfg, model, dataset, "SYSUMM01")}


@pytest.mark.parametrize("reranker", ["", "MSER"])
def test_mixed_rows_follow_the_published_ones_and_change_none_of_them(cfg, model, reranker):
    cfg.TEST.RERANKER = reranker
    rows = rows_of(cfg, model)
    cfg.TEST.MODALITY_NORM = True
    normalized = rows_of(cfg, model)
    cfg.TEST.MIXED_GALLERY, cfg.TEST.MODALITY_NORM = [], False
    published = rows_of(cfg, model)
    assert list(rows) == list(normalized) and list(rows)[: len(published)] == list(published)
    suffix = f" + {reranker}" if reranker else ""
    for name, row in published.items():
        assert rows[name].result == normalized[name].result == row.result
        assert list(row.result.mean) == list(METRICS)
    for setting in build_dataset(cfg, "SYSUMM01").settings(2):
        nothing_in = rows[f"{setting.name} with 0% infrared{suffix}"]
        assert nothing_in.result.trials == [
            {**trial, OWN_FIRST: 0.0} for trial in published[setting.name + suffix].result.trials
        ]
        assert normalized[nothing_in.name].result == nothing_in.result
        mixed = f"{setting.name} with 50% infrared{suffix}"
        assert normalized[mixed].result != rows[mixed].result


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_figures_of_a_mixed_gallery_equal_a_plain_loop(cfg, model, metric, normalize):
    cfg.TEST.METRIC, cfg.TEST.MODALITY_NORM = metric, normalize
    found = rows_of(cfg, model)[f"{NAME} with 50% infrared"].result
    dataset = build_dataset(cfg, "SYSUMM01")
    settings = {setting.name: setting for setting in dataset_settings(cfg, dataset, "SYSUMM01")}
    chosen = settings[f"{NAME} with 50% infrared"]
    extracted = extract_test_set(cfg, model, dataset, (chosen,), None, "")
    features = extracted.features["image"].double().numpy()
    if metric == "cosine":
        features /= np.linalg.norm(features, axis=1, keepdims=True)
    pids, kinds = extracted.pids, extracted.modalities
    for trial, figures in zip(extracted.settings[0].trials, found.trials):
        exclude = trial.exclude()
        dist = ((features[trial.query][:, None] - features[trial.gallery]) ** 2).sum(axis=2)
        own = kinds[trial.gallery] == 1
        for side in (own, ~own) if normalize else ():
            values = dist[:, side][~exclude[:, side]]
            dist[:, side] = (dist[:, side] - values.mean()) / values.std()
        first = []
        for q, row in enumerate(dist):
            ranked = [g for g in np.argsort(row, kind="stable") if not exclude[q, g]]
            if pids[trial.query[q]] in pids[trial.gallery[ranked]]:
                first.append(own[ranked[0]])
        labels = pids[trial.query], pids[trial.gallery]
        cmc, mean_ap, mean_inp, _ = plain_metrics(dist, *labels, exclude, unique_pids=True)
        expected = [*cmc[[0, 4, 9, 19]], mean_ap, mean_inp, np.mean(first)]
        assert list(figures) == [*METRICS, OWN_FIRST]
        np.testing.assert_allclose(list(figures.values()), 100 * np.array(expected))


def test_the_picture_and_the_rates_of_a_mixed_gallery_are_of_the_table_s_ranking(cfg, model):
    cfg.TEST.MODALITY_NORM = cfg.TEST.ROC.ENABLED = True
    name = f"{NAME} with 50% infrared"
    figures = rows_of(cfg, model)[name].result.trials[0]
    assert {"TPR@FPR=1e-02", OWN_FIRST} < set(figures)
    scored = scored_trial(cfg, model, name)
    assert 100 * np.nanmean(scored.average_precision) == pytest.approx(figures["mAP"])
    own = [scored.ranked(q)[0].modality == query.modality for q, query in enumerate(scored.queries)]
    assert figures[OWN_FIRST] == pytest.approx(100 * np.mean(own))


def test_table_and_record_say_how_galleries_are_mixed(cfg, model, caplog):
    cfg.TEST.MIXED_GALLERY, cfg.TEST.MODALITY_NORM = [50], True
    caplog.set_level("INFO", logger="fastreid.vireid.evaluation")
    evaluate_model(cfg, model)
    lines = caplog.text.splitlines()
    (stated,) = [line for line in lines if line.startswith(f"SYSUMM01, {NAME} with 50% infrared")]
    assert stated.endswith("distances normalized by modality")
    assert "infrared queries, gallery of both modalities; gallery by " in stated
    assert "; 50% of the gallery replaced by infrared images of the same persons; " in stated
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    assert cells[0][-1] == OWN_FIRST
    assert [bool(row[-1]) for row in cells[2:]] == [False] * 4 + [True] * 4
    record = json.loads((Path(cfg.OUTPUT_DIR) / "results.json").read_text())["results"]["SYSUMM01"]
    mixed = record[f"{NAME} with 50% infrared"]
    assert mixed["conditions"]["own modality in the gallery"] == 50 and mixed["conditions"]["normalized"]
    assert 0 <= mixed["mean"][OWN_FIRST] <= 100 and OWN_FIRST not in record[NAME]["mean"]
    assert "normalized" not in record[NAME]["conditions"]


def test_each_dataset_has_mixed_settings(cfg):
    cfg.TEST.MIXED_GALLERY = [25]
    names = {}
    for name in ("RegDB", "LLCM"):
        settings = dataset_settings(cfg, build_dataset(cfg, name), name)
        names[name] = [setting.name for setting in settings if setting.mixed]
    both = {"visible-to-infrared with 25% visible", "infrared-to-visible with 25% infrared"}
    assert set(names["RegDB"]) == set(names["LLCM"]) == both


def test_a_list_s_mixed_galleries_have_no_image_of_the_subset_query(cfg, generated_root, tmp_path):
    items = build_dataset(cfg, "RegDB").test
    lines = [
        f"{item.path},{item.pid},{item.camid},{item.modality.name},"
        f"{('test', 'query', 'gallery')[n % 3 if item.modality else 0]}"
        for n, item in enumerate(items)
    ]
    file = tmp_path / "list.csv"
    file.write_text("\n".join(["path,identity,camera,modality,subset", *lines]) + "\n")
    cfg.DATASETS.LIST.FILE, cfg.TEST.MIXED_GALLERY = str(file), [50]
    dataset = build_dataset(cfg, "List")
    subsets = dict(line.split(",")[::4] for line in lines)
    settings = {setting.name: setting for setting in dataset_settings(cfg, dataset, "List")}
    for trial in settings["infrared-to-visible with 50% infrared"].trials:
        infrared = [dataset.test[i].path for i in trial.gallery if dataset.test[i].modality]
        assert len(infrared) == len(trial.gallery) // 2
        assert {subsets[path] for path in infrared} == {"test", "gallery"}


def test_too_few_images_for_a_share_are_named_before_the_training(datasets, tmp_path):
    with pytest.raises(ConfigError) as error:
        trainer_of(tmp_path, TEST__MIXED_GALLERY=[75]).train()
    assert str(error.value) == (
        'TEST.MIXED_GALLERY, SYSUMM01: setting "all-search multi-shot", trial 0, with 75% infrared: 18 of 24 '
        "gallery images are to be replaced, and the test images suffice for 12: ask for a smaller share"
    )


@pytest.mark.parametrize("reranker", ["", "MSER"])
def test_open_set_rates_stand_in_every_row_and_their_thresholds_in_the_results(cfg, model, reranker):
    cfg.TEST.RERANKER, cfg.TEST.MIXED_GALLERY = reranker, []
    before = rows_of(cfg, model)
    cfg.TEST.OPEN_SET = [0.2, 0.5]
    rows = rows_of(cfg, model)
    dataset = build_dataset(cfg, "SYSUMM01")
    setting = dataset.settings(2)[0]
    extracted = extract_test_set(cfg, model, dataset, (setting,), build_reranker(cfg), "")
    pids, (setting,) = extracted.pids, extracted.settings
    reranked = MSER.from_config(cfg).bind(extracted.features) if reranker else None
    distance = ranking_distances(cfg, extracted.features["image"], extracted.modalities, reranked)
    points = []
    for seed, trial in enumerate(setting.trials):
        persons = sorted(set(pids[trial.query]) & set(pids[trial.gallery]))
        unknown = random.Random(seed).sample(persons, len(persons) // 2)
        stays = [n for n, position in enumerate(trial.gallery) if pids[position] not in unknown]
        part = Trial(trial.query, trial.gallery[stays], trial.query_keys, trial.gallery_keys[stays])
        found = pids[part.query], pids[part.gallery]
        dist = distance(part, setting)
        points.append(open_set_rates(dist, *found, exclude=part.exclude(), false_alarms=(0.2, 0.5)))
    row = rows[NAME + (" + MSER" if reranker else "")]
    names = ("DIR@FAR=20%", "DIR@FAR=50%")
    expected = [[100 * point.detected for point in of_trial] for of_trial in points]
    assert [[trial[name] for name in names] for trial in row.result.trials] == expected
    for name, plain in before.items():
        assert {k: v for k, v in rows[name].result.mean.items() if k not in names} == plain.result.mean
    record = results_record({"SYSUMM01": [row]}, {})["results"]["SYSUMM01"][row.name]["open_set"]
    assert [entry["false_alarms_asked"] for entry in record] == [0.2, 0.5]
    for rate, entry in enumerate(record):
        thresholds = [of_trial[rate].threshold for of_trial in points]
        # Other images were in the batches, and the last bits of an embedding depend on them.
        assert entry["thresholds"] == pytest.approx(thresholds, rel=1e-5)
        assert entry["threshold"] == pytest.approx(np.mean(thresholds), rel=1e-5)
        assert entry["detected"] == pytest.approx(np.mean([of_trial[rate].detected for of_trial in points]))
        assert entry["false_alarms"] <= entry["false_alarms_asked"]
    assert "DIR@FAR=20%" in results_table({"SYSUMM01": [row]}, {})


def test_a_rate_that_the_test_set_is_too_small_for_is_refused_before_the_training(datasets, tmp_path):
    message = (
        r'TEST.OPEN_SET, setting "all-search single-shot": a false alarm rate of 1 % needs 100 queries .* 6'
    )
    with pytest.raises(ConfigError, match=message):
        trainer_of(tmp_path / "run", TEST__OPEN_SET=[0.5, 0.01])
