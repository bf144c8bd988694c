"""The modalities of visible-infrared re-identification."""

from enum import IntEnum


class Modality(IntEnum):
    """What an image shows; the value is what a batch holds in ``modalities``.

    MIXED images are made of a visible and an infrared one during training (PMCM); no file is MIXED.
    """

    VISIBLE = 0
    INFRARED = 1
    MIXED = 2


# What lists and folders of images call the modalities, in lower case.
WORDS = {
    **dict.fromkeys(("visible", "vis", "rgb"), Modality.VISIBLE),
    **dict.fromkeys(("infrared", "ir", "nir", "thermal"), Modality.INFRARED),
}
