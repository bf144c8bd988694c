#!/usr/bin/env python
"""What several images of a person find more than one: a table from the features of a test set of tracks.

`vireid evaluate --save-features` on HITSZ-VCM, real or generated, writes the features of all frames.
"""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse

import numpy as np
import torch
from tabulate import tabulate

from vireid.evaluation import Setting, Trial, best_of_tracks, evaluate_settings, mean_of_tracks, vcm_settings
from vireid.evaluation.features import unit_rows
from vireid.evaluation.tracks import strip_positions


def main() -> None:
    """Print Rank-1 / mAP in percent for each number of images, by mean and by best."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", metavar="FILE.npz", help="of vireid evaluate --save-features")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 2, 4, 8], metavar="N")
    args = parser.parse_args()
    saved = np.load(args.features)
    if "tracks" not in saved or saved["tracks"].min() < 0:
        parser.error(f"{args.features} holds no tracks; take the features of HITSZ-VCM, or of its stand-in")
    print(table(saved, args.images))


def table(saved: dict[str, np.ndarray], numbers: list[int]) -> str:
    """Rows by setting and number of images of a query; the gallery's tracks have as many, or one image."""
    tracks = saved["tracks"]
    order = np.argsort(tracks, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(tracks[order])) + 1)
    first = np.array([own[0] for own in members])
    pids, camids, modalities = (saved[name][first] for name in ("pids", "camids", "modalities"))
    settings = vcm_settings(pids, camids, modalities == 1, np.arange(len(first)))
    features = unit_rows(torch.from_numpy(saved["features"]))
    rows = []
    for setting in settings:
        for number in numbers:
            cells = [setting.name, number]
            for of_gallery in (number, 1):
                for scored in (mean_distance, best_distance):
                    found = score(features, members, setting, pids, (number, of_gallery), scored)
                    cells.append(f"{found['Rank-1']:.1f} / {found['mAP']:.1f}")
            rows.append(cells)
    heads = [
        "",
        "images of a query",
        "mean, gallery so",
        "best, gallery so",
        "mean, gallery 1",
        "best, gallery 1",
    ]
    return tabulate(rows, heads, tablefmt="pipe", disable_numparse=True)


def score(features, members, setting: Setting, pids, numbers: tuple[int, int], scored) -> dict[str, float]:
    """The figures of a setting with so many images of each track of the queries and of the gallery."""

    def images(positions: np.ndarray, number: int) -> tuple[torch.Tensor, np.ndarray]:
        chosen = [members[p][place] for p in positions for place in strip_positions(len(members[p]), number)]
        return features[chosen], np.repeat(np.arange(len(positions)), number)

    def distance(trial: Trial, _: Setting) -> np.ndarray:
        return scored(*images(trial.query, numbers[0]), *images(trial.gallery, numbers[1]))

    return evaluate_settings(np.ones((len(pids), 1)), pids, [setting], distance=distance)[setting.name].mean


def mean_distance(query, query_tracks, gallery, gallery_tracks) -> np.ndarray:
    """Minus the cosine of the tracks' means."""
    means = (mean_of_tracks(query, query_tracks), mean_of_tracks(gallery, gallery_tracks))
    return -(unit_rows(means[0]) @ unit_rows(means[1]).T).numpy()


def best_distance(query, query_tracks, gallery, gallery_tracks) -> np.ndarray:
    """Minus the largest cosine of an image of the one track and an image of the other."""
    return best_of_tracks(-(query @ gallery.T), query_tracks, gallery_tracks)


if __name__ == "__main__":
    main()
