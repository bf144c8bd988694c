"""Retrieval protocols and re-ranking in plain loops: slow and obvious, to compare the package against."""

import random

import numpy as np


def plain_metrics(dist, query_pids, gallery_pids, exclude=None, unique_pids=False, max_rank=20):
    """(cmc, mAP, mINP, number of valid queries) by sorting each row."""
    cmc, precisions, penalties = np.zeros(max_rank), [], []
    for q in range(len(query_pids)):
        ranked = [int(g) for g in np.argsort(dist[q], kind="stable") if exclude is None or not exclude[q, g]]
        pids = [gallery_pids[g] for g in ranked]
        ranks = [rank for rank, pid in enumerate(pids, start=1) if pid == query_pids[q]]
        if not ranks:
            continue
        precisions.append(sum(n / rank for n, rank in enumerate(ranks, start=1)) / len(ranks))
        penalties.append(len(ranks) / ranks[-1])
        first = list(dict.fromkeys(pids)).index(query_pids[q]) + 1 if unique_pids else ranks[0]
        cmc[first - 1 :] += 1
    count = len(precisions)
    return cmc / count, sum(precisions) / count, sum(penalties) / count, count


def plain_sysu(features, pids, camids, numbers, permutations, search, shots, trials):
    """(trials, 6) Rank-1, 5, 10, 20, mAP, mINP in percent; permutations None: drawn by seed."""
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    cameras = (1, 2, 4, 5) if search == "all" else (1, 2)
    where = {(c, p, n): i for i, (c, p, n) in enumerate(zip(camids, pids, numbers))}
    query = [where[key] for key in sorted(where) if key[0] in (3, 6)]
    rows = []
    for trial in range(trials):
        drawn = []
        random.seed(trial)
        for pid in sorted(set(pids)):
            for camera in cameras:
                images = sorted(n for c, p, n in where if c == camera and p == pid)
                if not images:
                    continue
                if permutations is not None:
                    chosen = permutations[camera - 1, 0][pid - 1, 0][trial][:shots]
                elif shots == 1:
                    chosen = [random.choice(images)]
                else:
                    chosen = random.sample(images, min(10, len(images)))
                drawn += [(camera, pid, n) for n in chosen]
        gallery = [where[key] for key in sorted(drawn)]
        dist = 1 - features[query] @ features[gallery].T
        same_place = (camids[query] == 3)[:, None] & (camids[gallery] == 2)[None, :]
        cmc, mean_ap, mean_inp, _ = plain_metrics(dist, pids[query], pids[gallery], same_place, True)
        rows.append(100 * np.array([cmc[0], cmc[4], cmc[9], cmc[19], mean_ap, mean_inp]))
    return np.array(rows)
