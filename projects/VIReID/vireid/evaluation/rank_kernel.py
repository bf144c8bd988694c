"""Ranks of every query's matches, in many galleries at once, without sorting a row.

All galleries are subsets of one list of candidates (the images that any trial has in its gallery), so that
each distance is looked at once, whatever the number of trials. For one query:

1. The matches are the candidates of the query's identity. A query has a few dozen of them, and only they are
   sorted, by distance.
2. Every other candidate is placed among the sorted distances of the matches: it precedes all matches from
   there on. A table of ``_CELLS`` cells over the range of these distances gives the place almost at once. The
   candidate is then counted at that place, once for each gallery that has it (``counts``).
3. A running sum of the counts over the matches is the number of others that precede each match. The rank of
   the i-th match of a gallery is i plus that sum. Average precision and inverse negative penalty follow.
4. Where a gallery counts each identity once, the best rank is one more than the number of other identities
   that precede the nearest match. Each identity keeps one bit for each gallery (``seen``), set by any of its
   images that precedes that match; the bits are counted in the end.
5. Equal distances go by the place in the gallery, which differs between galleries: a candidate at exactly the
   distance of a match is compared with it gallery by gallery (``tied``), and the match is marked (``even``).

Longer than 250 lines: the kernel is one loop.
"""

import numba
import numpy as np

from vireid.evaluation.arrays import require_shapes
from vireid.numba_loops import kernel

MAX_GALLERIES = 64  # the galleries that have a candidate are the bits of one word
_LANES = 16  # counts of so many galleries are added by one vector instruction
_CELLS = 512
_NO_EXCLUSION = np.zeros((0, 0), dtype=bool)
_NO_KEYS = np.zeros(0, dtype=np.int64)


def rank_matches(
    dist: np.ndarray,
    query_pids: np.ndarray,
    candidate_pids: np.ndarray,
    query_keys: np.ndarray | None,
    candidate_keys: np.ndarray | None,
    exclude: np.ndarray | None,
    place: np.ndarray,
    unique: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rank the matches of each query in each gallery.

    Args:
        dist: (Q, P) float32 or float64, distances to all candidates, finite.
        query_pids, candidate_pids: (Q,) and (P,) identities.
        query_keys, candidate_keys: (Q,) and (P,) int64, or both None; equal keys leave a pair out.
        exclude: (Q, P) bool, or None; True leaves a pair out.
        place: (P, T) int32, place of a candidate in gallery t, by which ties go; -1 where it is not in.
        unique: (T,) bool, whether the best rank counts each identity once.

    Returns:
        best (Q, T) int64, rank of the nearest match, 0 for a query without an allowed match;
        ap and inp (Q, T) float64, average precision and inverse negative penalty;
        ties (Q, T) float64, the share of the matches whose rank depends on the order of equal distances.
    """
    num_queries, num_candidates, galleries = *dist.shape, place.shape[1]
    require_shapes(
        query_pids=(query_pids, (num_queries,)),
        candidate_pids=(candidate_pids, (num_candidates,)),
        query_keys=(query_keys, (num_queries,)),
        candidate_keys=(candidate_keys, (num_candidates,)),
        exclude=(exclude, (num_queries, num_candidates)),
        place=(place, (num_candidates, galleries)),
        unique=(unique, (galleries,)),
    )
    if galleries > MAX_GALLERIES:
        raise ValueError(f"at most {MAX_GALLERIES} galleries at once, got {galleries}")
    pids, pid_of = np.unique(candidate_pids, return_inverse=True)
    slot = np.minimum(np.searchsorted(pids, query_pids), max(len(pids) - 1, 0))
    known = pids[slot] == query_pids if len(pids) else np.zeros(num_queries, dtype=bool)
    by_pid = np.argsort(pid_of, kind="stable").astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(pid_of, minlength=len(pids)))]).astype(np.int64)
    inside = place >= 0
    lanes = galleries if galleries == 1 else -(-galleries // _LANES) * _LANES
    member = np.zeros((len(candidate_pids), lanes), dtype=np.int32)
    member[:, :galleries] = inside
    bits = (inside.astype(np.uint64) << np.arange(galleries, dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
    best = np.zeros((num_queries, galleries), dtype=np.int64)
    ap = np.zeros((num_queries, galleries))
    inp = np.zeros((num_queries, galleries))
    ties = np.zeros((num_queries, galleries))
    keyed = query_keys is not None
    _rank_matches(
        np.ascontiguousarray(dist),
        np.where(known, slot, -1).astype(np.int32),
        pid_of.astype(np.int32),
        by_pid,
        starts,
        np.ascontiguousarray(query_keys, dtype=np.int64) if keyed else _NO_KEYS,
        np.ascontiguousarray(candidate_keys, dtype=np.int64) if keyed else _NO_KEYS,
        _NO_EXCLUSION if exclude is None else np.ascontiguousarray(exclude, dtype=bool),
        np.ascontiguousarray(place, dtype=np.int32),
        member,
        bits,
        np.ascontiguousarray(unique, dtype=bool),
        best,
        ap,
        inp,
        ties,
    )
    return best, ap, inp, ties


@kernel
def _rank_matches(
    dist,  # (Q, P) float
    query_pid,  # (Q,) int32, row of the query's identity in ``starts``; -1 where no candidate has it
    pid_of,  # (P,) int32, the same of each candidate
    by_pid,  # (P,) int32, candidates ordered by identity
    starts,  # (identities + 1,) int64, where each identity's candidates begin in ``by_pid``
    query_keys,  # (Q,) int64, or empty
    keys,  # (P,) int64, or empty; a candidate whose key is the query's is left out
    exclude,  # (Q, P) bool, or (0, 0); True leaves a candidate out
    place,  # (P, T) int32, place of the candidate in each gallery; -1 where it is not in
    member,  # (P, T padded to lanes) int32, 1 where the candidate is in the gallery
    bits,  # (P,) uint64, the same as bits
    unique,  # (T,) bool, whether the best rank counts identities
    best,  # out: (Q, T) int64
    ap,  # out: (Q, T) float64
    inp,  # out: (Q, T) float64
    ties,  # out: (Q, T) float64
):
    num_queries, num_candidates = dist.shape
    galleries, lanes = place.shape[1], member.shape[1]
    num_pids = len(starts) - 1
    keyed, masked = len(query_keys) > 0, exclude.shape[0] > 0
    most = 0
    for i in range(num_pids):
        most = max(most, starts[i + 1] - starts[i])
    unique_bits = np.uint64(0)
    for t in range(galleries):
        if unique[t]:
            unique_bits |= np.uint64(1) << np.uint64(t)

    chunks = min(num_queries, 64)
    for chunk in numba.prange(chunks):
        near = np.empty(most + 1, dtype=dist.dtype)  # distances of the matches, ascending, then infinity
        table = np.empty(_CELLS + 1, dtype=np.int64)  # [cell]: matches in earlier cells
        match = np.empty(most, dtype=np.int64)
        counts = np.empty((most + 1, lanes), dtype=np.int32)  # [b]: others nearer than match b, not b - 1
        tied = np.empty((most, galleries), dtype=np.int64)  # others at the distance of match b, before it
        even = np.empty(most, dtype=np.uint64)  # galleries in which another is at the distance of match b
        first = np.empty(galleries, dtype=np.int64)  # index of the nearest match
        first_place = np.empty(galleries, dtype=np.int64)
        before = np.empty(most + 1, dtype=np.uint64)  # [b]: galleries whose nearest match is b or later
        seen = np.empty(num_pids, dtype=np.uint64)  # galleries in which an identity precedes the match
        ahead = np.empty(most, dtype=np.int64)
        total = np.empty(lanes, dtype=np.int64)
        for q in range(chunk * num_queries // chunks, (chunk + 1) * num_queries // chunks):
            own = query_pid[q]
            if own < 0:
                continue
            row = dist[q]
            found = 0
            for i in range(starts[own], starts[own + 1]):
                p = by_pid[i]
                if (keyed and keys[p] == query_keys[q]) or (masked and exclude[q, p]):
                    continue
                match[found] = p
                near[found] = row[p]
                found += 1
            if found == 0:
                continue
            order = np.argsort(near[:found], kind="mergesort")
            match[:found] = match[:found][order]
            near[:found] = near[:found][order]
            near[found] = np.inf
            # Cells of equal width from the first to the last match. Rounding keeps order, so a match in
            # an earlier cell than a candidate is nearer.
            low, last = near[0], near[found - 1]
            scale = 0.0
            if last > low:
                scale = _CELLS / (np.float64(last) - np.float64(low))
                if not np.isfinite(scale):
                    scale = 0.0
            offset = low * scale
            b = 0
            for cell in range(_CELLS + 1):
                table[cell] = b
                while b < found and min(np.int64(near[b] * scale - offset), _CELLS) == cell:
                    b += 1

            before[:found] = 0
            for t in range(galleries):
                first[t] = -1
                for b in range(found):
                    if place[match[b], t] >= 0:
                        if first[t] < 0:
                            first[t] = b
                            first_place[t] = place[match[b], t]
                        elif near[b] == near[first[t]]:
                            first_place[t] = min(first_place[t], place[match[b], t])
                        else:
                            break
                if first[t] >= 0 and unique[t]:
                    before[first[t]] |= np.uint64(1) << np.uint64(t)
            for b in range(found - 2, -1, -1):
                before[b] |= before[b + 1]
            counts[: found + 1] = 0
            tied[:found] = 0
            even[:found] = 0
            seen[:] = 0

            for p in range(num_candidates):
                d = row[p]
                if d > last:
                    continue
                pid = pid_of[p]
                if pid == own or (keyed and keys[p] == query_keys[q]) or (masked and exclude[q, p]):
                    continue
                b = 0
                if d >= low:
                    b = table[min(np.int64(d * scale - offset), _CELLS)]
                    while near[b] <= d:
                        b += 1
                if b > 0 and near[b - 1] == d:
                    for t in range(galleries):
                        if place[p, t] < 0:
                            continue
                        c = b - 1
                        while c >= 0 and near[c] == d:
                            even[c] |= np.uint64(1) << np.uint64(t)
                            if place[p, t] < place[match[c], t]:
                                tied[c, t] += 1
                            c -= 1
                        if unique[t] and c < first[t] < b and place[p, t] < first_place[t]:
                            seen[pid] |= np.uint64(1) << np.uint64(t)
                    if b == found:
                        continue
                here = counts[b]
                mine = member[p]
                for t in range(lanes):
                    here[t] += mine[t]
                seen[pid] |= bits[p] & before[b]

            total[:] = 0
            if unique_bits != 0:
                for i in range(num_pids):
                    word = seen[i]
                    if word != 0:
                        for t in range(galleries):
                            total[t] += np.int64((word >> np.uint64(t)) & np.uint64(1))
            for t in range(galleries):
                if first[t] < 0:
                    continue
                others = 0
                held = 0
                undecided = 0
                for b in range(found):
                    others += counts[b, t]
                    if place[match[b], t] < 0:
                        continue
                    if (even[b] >> np.uint64(t)) & np.uint64(1):
                        undecided += 1
                    # Matches at one distance go by place, and so do the others before each of them.
                    value = others + tied[b, t]
                    c = held
                    while c > 0 and ahead[c - 1] > value:
                        ahead[c] = ahead[c - 1]
                        c -= 1
                    ahead[c] = value
                    held += 1
                precision = 0.0
                for b in range(held):
                    precision += (b + 1) / (ahead[b] + b + 1)
                best[q, t] = (total[t] if unique[t] else ahead[0]) + 1
                ap[q, t] = precision / held
                inp[q, t] = held / (ahead[held - 1] + held)
                ties[q, t] = undecided / held
