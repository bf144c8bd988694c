"""Soft ranks in plain loops."""

import numpy as np


def plain_blocks(targets):
    """Blocks (start, end) of the non-increasing least-squares fit, by pool-adjacent-violators."""
    blocks = []
    for i in range(len(targets)):
        blocks.append((i, i + 1))
        while len(blocks) > 1:
            (a, b), (c, d) = blocks[-2:]
            if np.mean(targets[a:b]) > np.mean(targets[c:d]) + 1e-9:
                break
            blocks[-2:] = [(a, d)]
    return blocks


def plain_soft_rank(row, strength, weights):
    """The soft rank of one row, and the gradient of sum(rank * weights)."""
    size = len(row)
    order = np.argsort(-row, kind="stable")
    scaled = row[order] / strength
    targets = scaled - np.arange(size, 0, -1)
    ranks, gradient = np.empty(size), np.empty(size)
    for start, end in plain_blocks(targets):
        inside = order[start:end]
        ranks[inside] = scaled[start:end] - np.mean(targets[start:end])
        gradient[inside] = (weights[inside] - weights[inside].mean()) / strength
    return ranks, gradient
