"""RegDB (Nguyen et al., Sensors 2017): 412 identities, ten visible and ten thermal images of each."""

from collections.abc import Hashable
from os.path import dirname, join
from typing import Any

from fastreid.data.datasets import DATASET_REGISTRY

from vireid.data.datasets import published_counts
from vireid.data.datasets.base import ImageItem, VisibleInfraredDataset
from vireid.data.datasets.list_faults import folder_identity
from vireid.data.datasets.reading import SEE, read_labelled_paths
from vireid.errors import DatasetError
from vireid.evaluation.protocols import Setting
from vireid.evaluation.regdb import regdb_settings
from vireid.modality import Modality

# Name of a modality's lists, its camera and its modality; each modality has one camera.
SIDES = (("visible", 1, Modality.VISIBLE), ("thermal", 2, Modality.INFRARED))
NUM_SPLITS = 10


@DATASET_REGISTRY.register()
class RegDB(VisibleInfraredDataset):
    """One of the ten splits: ``idx/{train,test}_{visible,thermal}_<split>.txt``.

    Labels count from 0 in the training and in the test lists: the same number is another person there.
    """

    folder = "RegDB"
    modality_folders = {Modality.VISIBLE: ["Visible"], Modality.INFRARED: ["Thermal"]}
    published = published_counts.REGDB

    def __init__(self, root: str = "datasets", split: int = 1, **kwargs: Any) -> None:
        if isinstance(split, bool) or not isinstance(split, int) or not 1 <= split <= NUM_SPLITS:
            raise DatasetError(
                f"DATASETS.REGDB.SPLIT is {split!r}; RegDB has splits 1 to {NUM_SPLITS}; {SEE}"
            )
        super().__init__(root, **kwargs)
        self.split = split

    @classmethod
    def from_config(cls, cfg: Any, root: str) -> "RegDB":
        """Read DATASETS.REGDB."""
        return cls(root, split=cfg.DATASETS.REGDB.SPLIT)

    def checkpoint_tag(self) -> dict[str, Any]:
        """The split: identities that one split trains on are among another's test identities."""
        return {"split": self.split}

    def parts(self) -> dict[str, VisibleInfraredDataset]:
        """The ten splits."""
        root = dirname(self.dataset_dir)
        return {f"split {number}": type(self)(root, number) for number in range(1, NUM_SPLITS + 1)}

    def read_train(self) -> list[ImageItem]:
        """Images of the split's training lists."""
        return self._read("train")

    def read_test(self) -> list[ImageItem]:
        """Images of the split's test lists."""
        return self._read("test")

    def identity(self, item: ImageItem) -> Hashable:
        """The name of its folder; the labels of the training and of the test lists both count from 0."""
        return folder_identity(item.path)

    def settings(self, trials: int = 10) -> tuple[Setting, ...]:
        """Both directions; nothing is drawn, so each has one trial. Their mean is over the splits."""
        return regdb_settings([item.pid for item in self.test], [item.modality for item in self.test])

    def _read(self, subset: str) -> list[ImageItem]:
        items: list[ImageItem] = []
        for side, camid, modality in SIDES:
            path = join(self.dataset_dir, "idx", f"{subset}_{side}_{self.split}.txt")
            images = read_labelled_paths(path, self.dataset_dir, self.report)
            images.sort(key=lambda image: image[1])
            items.extend(ImageItem(image, label, camid, modality) for image, label in images)
        return items
