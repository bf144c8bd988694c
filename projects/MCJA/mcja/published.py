"""How the published code of MCJA names the tensors of its checkpoints."""

import os
import re
from collections import Counter
from collections.abc import Sequence

from torch import Tensor

from vireid.data.datasets.reading import name_some, read_id_list
from vireid.errors import DatasetError
from vireid.modeling.published import CLASSIFIER, OWN_CLASSIFIER, PublishedCode
from vireid.registries import PUBLISHED_REGISTRY

# The block behind which the first adapter of a stage of ResNet-50 stands.
FIRST_ADAPTED = {"2": 2, "3": 3}


@PUBLISHED_REGISTRY.register()
class MCJA(PublishedCode):
    """workingcoder/MCJA."""

    name = "mcja"
    wrapper = ""
    classes_ascend = False

    def settings(self, weights: dict[str, Tensor]) -> list[str]:
        maps = [value.shape[-1] for name, value in weights.items() if name.endswith(".ca_conv.weight")]
        return ["mcja/sysu", "MODEL.MDA.MODALITIES", str(maps[0])] if maps else ["mcja/sysu_v1"]

    def published_name(self, own: str) -> str:
        """backbone.layer2.3.mda.sc_conv.weight -> MDA_2.1.sc_conv.weight; heads.bottleneck.0.* -> bn_neck.*;
        heads.weight -> classifier.weight; the rest of the backbone is named alike."""
        adapter = re.fullmatch(r"backbone\.layer([23])\.(\d+)\.mda\.(.+)", own)
        if adapter:
            stage, block, rest = adapter.groups()
            return f"MDA_{stage}.{int(block) - FIRST_ADAPTED[stage]}.{rest}"
        return CLASSIFIER if own == OWN_CLASSIFIER else own.replace("heads.bottleneck.0.", "bn_neck.")

    def unused(self) -> dict[str, Sequence[int]]:
        """The ImageNet classifier that the published backbone still holds."""
        return {"backbone.fc.weight": (1000, 2048), "backbone.fc.bias": (1000,)}

    def class_order(self, folder: str) -> list[int]:
        """The identities of train_id.txt as they stand there, then those of val_id.txt.

        Args:
            folder: holds the two lists, the dataset's exp/.

        Raises:
            DatasetError: a list cannot be read, or an identity is named twice.
        """
        files = ("train_id.txt", "val_id.txt")
        order = [pid for name in files for pid in read_id_list(os.path.join(folder, name))]
        twice = sorted(pid for pid, number in Counter(order).items() if number > 1)
        if twice:
            raise DatasetError(
                f"{folder}: train_id.txt and val_id.txt name {name_some(twice)} more than once"
            )
        return order
