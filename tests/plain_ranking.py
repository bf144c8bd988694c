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


def plain_ties(dist, query_pids, gallery_pids, exclude=None):
    """Mean over the queries of the share of their matches that have another image at the same distance."""
    shares = []
    for q, pid in enumerate(query_pids):
        allowed = [g for g in range(len(gallery_pids)) if exclude is None or not exclude[q, g]]
        matches = [g for g in allowed if gallery_pids[g] == pid]
        others = {float(dist[q, g]) for g in allowed if gallery_pids[g] != pid}
        if matches:
            shares.append(sum(float(dist[q, g]) in others for g in matches) / len(matches))
    return sum(shares) / len(shares)


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


def squared_distances(features):
    """(N, N) float64."""
    features = features.astype(np.float64)
    return ((features[:, None] - features[None]) ** 2).sum(axis=2)


def plain_jaccard_of_rows(rows):
    """(N, N): 1 - sum(min) / (2 - sum(min)), not below 0."""
    shared = np.array([[np.minimum(a, b).sum() for b in rows] for a in rows])
    return np.maximum(1 - shared / (2 - shared), 0)


def plain_k_reciprocal_jaccard(query, gallery, k1, k2):
    """The toolkit's definition: lists of k1 with the item itself, 2/3 expansion, softmax of -distance."""
    features = np.concatenate([query, gallery])
    dist = squared_distances(features)
    ranked = np.argsort(dist, axis=1, kind="stable")
    items = range(len(features))

    def reciprocal(i, length):
        return [j for j in ranked[i, :length] if i in ranked[j, :length]]

    half = min(k1, int(np.around(k1 / 2)) + 1)
    rows = np.zeros_like(dist)
    for i in items:
        own = set(reciprocal(i, k1))
        members = set(own)
        for j in own:
            other = set(reciprocal(j, half))
            if len(other & own) > 2 / 3 * len(other):
                members |= other
        members = sorted(members)
        weights = np.exp(-dist[i, members])
        rows[i, members] = weights / weights.sum()
    if k2 != 1:
        rows = np.array([rows[ranked[i, : min(k1, k2)]].mean(axis=0) for i in items])
    return plain_jaccard_of_rows(rows)[: len(query), len(query) :]


def plain_mser(queries, galleries, k1, k2, lambda_value, query_neighbours_only):
    """Multi-spectral enhanced ranking with dense matrices."""
    num_query, num_gallery = sum(map(len, queries)), len(galleries[0])
    dist = squared_distances(np.concatenate([*queries, *galleries]))
    dist /= dist.max(axis=1, keepdims=True)
    items = range(len(dist))
    allowed = num_query if query_neighbours_only else len(dist)
    ranked = np.argsort(dist[:, :allowed], axis=1, kind="stable")[:, : k1 + 1]
    rows = np.zeros_like(dist)
    for i in items:
        members = [j for j in ranked[i] if i in ranked[j]]
        weights = np.exp(-dist[i, members])
        rows[i, members] = weights / weights.sum()
    rows = np.array([rows[ranked[i, :k2]].mean(axis=0) for i in items])
    result = (1 - lambda_value) * plain_jaccard_of_rows(rows) + lambda_value * dist
    result = result[:num_query, num_query:]
    size, spectra = len(queries[0]), max(len(queries), len(galleries))
    blocks = [
        result[
            (s if len(queries) > 1 else 0) * size :,
            (s if len(galleries) > 1 else 0) * num_gallery :,
        ][:size, :num_gallery]
        for s in range(spectra)
    ]
    return np.mean(blocks, axis=0)
