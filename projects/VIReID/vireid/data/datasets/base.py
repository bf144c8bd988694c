"""What the visible-infrared datasets have in common."""

import logging
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from os.path import join
from typing import Any, ClassVar, NamedTuple

from fastreid.data.datasets.bases import ImageDataset
from tabulate import tabulate
from termcolor import colored

from vireid.data.datasets.list_faults import item_faults, repeated
from vireid.data.datasets.published_counts import PublishedCounts
from vireid.data.datasets.reading import SEE, Report, name_some, refuse, require_folder
from vireid.errors import ConfigError
from vireid.evaluation.mixed import mixed_settings
from vireid.evaluation.protocols import Setting
from vireid.modality import Modality

logger = logging.getLogger("fastreid.vireid.data")


class ImageItem(NamedTuple):
    """One image; the first three fields are the toolkit's.

    Images of one ``track``, a number, are frames of one person by one camera, in their order; None is an
    image by itself.
    """

    path: str
    pid: int
    camid: int
    modality: Modality = Modality.VISIBLE
    track: int | None = None


def as_image_item(item: Sequence[Any]) -> ImageItem:
    """An item of any dataset; the toolkit's triples are visible images."""
    return ImageItem(*item)


class VisibleInfraredDataset(ImageDataset):
    """Training images, test images of both modalities, and the settings under which they are scored.

    Lists are read on first use, so that evaluation needs no training files, and the reverse.

    Args:
        root: folder that holds ``folder``.
        combineall: the toolkit's switch to train on test images too; refused.
    """

    folder: ClassVar[str]
    # For `vireid data check`: the folders of dataset_dir in which a modality's images are, and how many
    # images and identities were published. Neither is compared where it is not given.
    modality_folders: ClassVar[Mapping[Modality, Sequence[str]]] = {}
    published: PublishedCounts | None = None

    # The toolkit's constructor reads the training list at once: it is not called.
    def __init__(self, root: str = "datasets", combineall: bool = False, **kwargs: Any) -> None:
        if combineall:
            raise ConfigError(
                "DATASETS.COMBINEALL True would train on the test identities of "
                f"{type(self).__name__}; set it False"
            )
        self.report: Report = refuse  # what is done with a fault that reading can go on after
        self.dataset_dir = join(root, self.folder)
        require_folder(
            self.dataset_dir, f"the {self.folder} dataset there (FASTREID_DATASETS names the folder above it)"
        )

    @classmethod
    def from_config(cls, cfg: Any, root: str) -> "VisibleInfraredDataset":
        """The dataset under ``root``; a subclass whose constructor takes more reads it from ``cfg``."""
        return cls(root)

    def checkpoint_tag(self) -> dict[str, Any]:
        """Plain values that a checkpoint records; a test must agree, or it tests training identities."""
        return {}

    def read_train(self) -> list[ImageItem]:
        """Read the training lists."""
        raise NotImplementedError

    def read_test(self) -> list[ImageItem]:
        """Read the test lists: all images, by camera, identity and number."""
        raise NotImplementedError

    def identity(self, item: ImageItem) -> Hashable | None:
        """Who an image shows, named alike in training and test lists, so that the two can be compared.

        None where that is not known, as where the labels of either list count from 0.
        """
        return None

    def settings(self, trials: int = 10) -> tuple[Setting, ...]:
        """The published settings; positions index ``test``."""
        raise NotImplementedError

    def mixed_settings(self, settings: Sequence[Setting], percents: Sequence[int]) -> tuple[Setting, ...]:
        """Settings of this dataset with galleries of both modalities, see ``vireid.evaluation.mixed``.

        Args:
            percents: of gallery images that are of the queries' modality.
        """
        pids, camids, modalities = zip(*((item.pid, item.camid, item.modality) for item in self.test))
        return mixed_settings(settings, pids, camids, modalities, percents, self.searchable())

    def searchable(self) -> Sequence[bool]:
        """Which test images may stand in a gallery: all of them."""
        return [True] * len(self.test)

    def parts(self) -> dict[str, "VisibleInfraredDataset"]:
        """What is verified, each with a training and a test set of its own, by name: the splits of RegDB."""
        return {"": self}

    def own_faults(self) -> Iterable[str]:
        """What is wrong with files that only this dataset has, one line each."""
        return ()

    @cached_property
    def train(self) -> list[ImageItem]:
        """Training images."""
        items = self.read_train()
        self._check("training", items)
        self._warn_of_single_modality(items)
        return items

    @cached_property
    def test(self) -> list[ImageItem]:
        """All test images of both modalities."""
        items = self.read_test()
        self._check("test", items)
        return items

    @property
    def data(self) -> list[ImageItem]:
        """The training images, as in the toolkit's default mode."""
        return self.train

    @cached_property
    def query(self) -> list[ImageItem]:
        """Queries of the first trial of the first setting."""
        return self._first_trial[0]

    @cached_property
    def gallery(self) -> list[ImageItem]:
        """Gallery of the first trial of the first setting."""
        return self._first_trial[1]

    def show_train(self) -> None:
        """Log a table of the training images."""
        self._log_table([("train", self.train)])

    def show_test(self) -> None:
        """Log a table of the test images."""
        self._log_table([("test", self.test), ("query", self.query), ("gallery", self.gallery)])

    @cached_property
    def _first_trial(self) -> tuple[list[ImageItem], list[ImageItem]]:
        return self._items_of(self.settings(trials=1)[0], 0)

    def _items_of(self, setting: Setting, trial: int) -> tuple[list[ImageItem], list[ImageItem]]:
        drawn = setting.trials[trial]
        return [self.test[i] for i in drawn.query.tolist()], [self.test[i] for i in drawn.gallery.tolist()]

    def _check(self, subset: str, items: list[ImageItem]) -> None:
        """Refuse lists that contradict themselves; a training image that is listed twice is a warning."""
        if self.report is not refuse:  # whoever gathers faults looks for these, too
            return
        faults = list(item_faults(self, items))
        twice = list(repeated(items))
        if subset == "test":
            faults += twice
        if faults:
            more = f" (and {len(faults) - 1} more such faults)" if len(faults) > 1 else ""
            refuse(f"{type(self).__name__}, {subset} images: {faults[0]}{more}; {SEE}")
        if twice:
            logger.warning(
                "%s: %d training images are listed twice and count twice, such as %s",
                type(self).__name__,
                len(twice),
                twice[0].removesuffix(" is listed twice"),
            )

    def _warn_of_single_modality(self, items: list[ImageItem]) -> None:
        seen: dict[Modality, set[int]] = {Modality.VISIBLE: set(), Modality.INFRARED: set()}
        for item in items:
            seen[item.modality].add(item.pid)
        for modality, other in ((Modality.VISIBLE, Modality.INFRARED), (Modality.INFRARED, Modality.VISIBLE)):
            without = sorted(seen[other] - seen[modality])
            if without:
                logger.warning(
                    "%s: %d of %d training identities have no %s images and are trained with the other "
                    "modality alone: %s",
                    type(self).__name__,
                    len(without),
                    len(seen[modality] | seen[other]),
                    modality.name.lower(),
                    name_some(without),
                )

    def _log_table(self, subsets: list[tuple[str, list[ImageItem]]]) -> None:
        rows = []
        for name, items in subsets:
            images = Counter(item.modality for item in items)
            pids = {m: len({item.pid for item in items if item.modality == m}) for m in images}
            row: list[Any] = [name, len({item.pid for item in items}), len(items)]
            row.append(len({item.camid for item in items}))
            for modality in (Modality.VISIBLE, Modality.INFRARED):
                row.append(f"{images[modality]} of {pids.get(modality, 0)} ids")
            rows.append(row)
        headers = ["subset", "# ids", "# images", "# cameras", "visible", "infrared"]
        table = tabulate(rows, tablefmt="pipe", headers=headers, numalign="left")
        logger.info("=> Loaded %s: \n%s", type(self).__name__, colored(table, "cyan"))
