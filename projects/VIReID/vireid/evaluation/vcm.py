"""The HITSZ-VCM protocol (Lin et al., CVPR 2022): infrared tracks query visible tracks, and the reverse."""

from typing import Any

import numpy as np

from vireid.errors import UserError
from vireid.evaluation.arrays import labels_of_images, person_camera_keys
from vireid.evaluation.trials import Setting, Trial


def vcm_settings(pids: Any, camids: Any, queries: Any, tracks: Any) -> tuple[Setting, Setting]:
    """Both directions, one trial each, as the released code scores them.

    A trial's positions are those of the first image of each track, which stands for the track. Tracks of the
    query's identity and camera are left out; a camera has one number for both modalities. The CMC counts
    tracks.

    Args:
        pids, camids, tracks: (N,) of the test images; with one feature for each track, N different tracks.
        queries: (N,) bool, the images whose tracks query in infrared-to-visible and are the gallery of
            visible-to-infrared (query_IDX.txt).

    Raises:
        UserError: not as many of each, or no tracks on one side.
    """
    asked = np.asarray(queries, dtype=bool).astype(np.int64)
    pids, camids, asked, tracks = labels_of_images(pids=pids, camids=camids, queries=asked, tracks=tracks)
    _, first = np.unique(tracks, return_index=True)
    infrared, visible = (np.sort(first[asked[first] == side]) for side in (1, 0))
    if not len(infrared) or not len(visible):
        raise UserError(
            f"{len(infrared)} of the {len(first)} tracks are queries; expected some, and some that are not"
        )
    keys = person_camera_keys(pids, camids)

    def setting(name: str, query: np.ndarray, gallery: np.ndarray, direction: str) -> Setting:
        trial = Trial(query, gallery, keys[query], keys[gallery])
        return Setting(name, (trial,), unique_pids=False, direction=direction, draw="all tracks")

    return (
        setting("infrared-to-visible", infrared, visible, "i2v"),
        setting("visible-to-infrared", visible, infrared, "v2i"),
    )
