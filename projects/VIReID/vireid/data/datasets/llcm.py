"""LLCM (Zhang and Wang, CVPR 2023): low light, nine cameras of both modalities, 1,064 identities."""

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from os.path import basename, join

from fastreid.data.datasets import DATASET_REGISTRY

from vireid.data.datasets import published_counts
from vireid.data.datasets.base import ImageItem, VisibleInfraredDataset
from vireid.data.datasets.list_faults import folder_identity
from vireid.data.datasets.reading import read_ids, read_labelled_paths, require_images, scan_camera
from vireid.evaluation.llcm import AS_RELEASED, llcm_settings
from vireid.evaluation.protocols import Setting
from vireid.modality import Modality

# Name of a modality's lists and folders, the modality, and its test cameras. A camera takes both;
# test_nir/cam3 is empty, and the protocol leaves it out.
SIDES = (
    ("vis", Modality.VISIBLE, (1, 2, 3, 4, 5, 6, 7, 8, 9)),
    ("nir", Modality.INFRARED, (1, 2, 4, 5, 6, 7, 8, 9)),
)


@DATASET_REGISTRY.register()
class LLCM(VisibleInfraredDataset):
    """``idx/train_{vis,nir}.txt`` name the training images, ``idx/test_id.txt`` the identities of
    ``test_{vis,nir}/cam<c>/<id:04d>/``."""

    folder = "LLCM"
    modality_folders = {modality: [side, f"test_{side}"] for side, modality, _ in SIDES}
    published = published_counts.LLCM

    def read_train(self) -> list[ImageItem]:
        """Images of the training lists."""
        items: list[ImageItem] = []
        for side, modality, _ in SIDES:
            path = join(self.dataset_dir, "idx", f"train_{side}.txt")
            images = read_labelled_paths(path, self.dataset_dir, self.report)
            items.extend(ImageItem(image, pid, _camera(image), modality) for image, pid in images)
        return items

    def read_test(self) -> list[ImageItem]:
        """Images of the test identities, visible first."""
        ids = join(self.dataset_dir, "idx", "test_id.txt")
        pids = set(read_ids(ids))
        items: list[ImageItem] = []
        found: set[int] = set()
        for side, modality, cameras in SIDES:
            for camid in cameras:
                folder = join(self.dataset_dir, f"test_{side}", f"cam{camid}")
                for pid, paths in scan_camera(folder, pids, self.report).items():
                    found.add(pid)
                    items.extend(ImageItem(path, pid, camid, modality) for path in paths)
        require_images(pids, found, ids, self.dataset_dir, self.report)
        return items

    def identity(self, item: ImageItem) -> Hashable:
        """The name of its folder, one person's in training and test; training labels count from 0."""
        return folder_identity(item.path)

    def settings(self, trials: int = 10) -> tuple[Setting, ...]:
        """Infrared to visible, and visible to infrared as described and as released."""
        before: Counter[tuple[int, int, Modality]] = Counter()
        numbers = []  # the place among the images of the same identity, camera and modality
        for item in self.test:
            numbers.append(before[item.pid, item.camid, item.modality])
            before[item.pid, item.camid, item.modality] += 1
        return llcm_settings(
            [item.pid for item in self.test],
            [item.camid for item in self.test],
            [item.modality for item in self.test],
            numbers,
            trials=trials,
        )

    def mixed_settings(self, settings: Sequence[Setting], percents: Sequence[int]) -> tuple[Setting, ...]:
        """As of every dataset, but of the two directions alone: the released code's visible to infrared ranks
        all visible images, and there may be too few infrared ones to replace them."""
        return super().mixed_settings([s for s in settings if s.name != AS_RELEASED], percents)


def _camera(path: str) -> int:
    """N of the c0N in a training image's name (0001_c03_s171429_f12990_vis.jpg); 0 where it has none."""
    match = re.search(r"_c(\d+)", basename(path))
    return int(match.group(1)) if match else 0
