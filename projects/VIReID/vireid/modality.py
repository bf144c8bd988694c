"""The modalities of visible-infrared re-identification."""

from collections.abc import Sequence
from enum import IntEnum

from vireid.errors import ImageError


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

# What the modality of an image is called in calls; by AUTO its colors decide.
MODALITIES = {"visible": Modality.VISIBLE, "infrared": Modality.INFRARED}
AUTO = "auto"


def one_modality_each(modality: str | Modality | Sequence[str | Modality], count: int) -> list[str]:
    """The modality of each of ``count`` images: one for all of them, or a sequence.

    Raises:
        ImageError: an unknown one, or another number than there are images.
    """
    if isinstance(modality, (str, int)):
        return [_modality_name(modality)] * count
    if len(modality) != count:
        raise ImageError(
            f"modality names {len(modality)} for {count} images; give one for all, or one for each"
        )
    return [_modality_name(entry) for entry in modality]


def _modality_name(modality: str | Modality) -> str:
    name = Modality(modality).name.lower() if isinstance(modality, int) else str(modality)
    if name not in (*MODALITIES, AUTO):
        raise ImageError(f"modality is {name!r}; expected visible, infrared or auto")
    return name
