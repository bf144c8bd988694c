"""How many images and identities the published datasets have."""

from collections.abc import Mapping
from typing import NamedTuple

from vireid.modality import Modality

# Subset ("train" or "test"; "" is both), modality and camera; None is all of them.
Group = tuple[str, Modality | None, int | None]


class Count(NamedTuple):
    """Images and identities of a group; None where no source gives the number."""

    images: int | None
    identities: int | None


class PublishedCounts(NamedTuple):
    """The numbers of a dataset, and where they are published."""

    source: str
    counts: Mapping[Group, Count]


VISIBLE, INFRARED = Modality.VISIBLE, Modality.INFRARED

SYSU_MM01 = PublishedCounts(
    "Wu et al., ICCV 2017; by camera: the sizes of the permutations in the official exp/rand_perm_cam.mat",
    {
        ("train", VISIBLE, 1): Count(4721, 194),
        ("train", VISIBLE, 2): Count(5753, 195),
        ("train", VISIBLE, 4): Count(5811, 382),
        ("train", VISIBLE, 5): Count(5973, 390),
        ("train", VISIBLE, None): Count(22258, 395),
        ("train", INFRARED, 3): Count(7909, 392),
        ("train", INFRARED, 6): Count(4000, 200),
        ("train", INFRARED, None): Count(11909, 395),
        ("train", None, None): Count(34167, 395),
        ("test", VISIBLE, 1): Count(1374, 56),
        ("test", VISIBLE, 2): Count(1565, 56),
        ("test", VISIBLE, 4): Count(1918, 94),
        ("test", VISIBLE, 5): Count(1918, 95),
        ("test", VISIBLE, None): Count(6775, 96),
        ("test", INFRARED, 3): Count(1883, 93),
        ("test", INFRARED, 6): Count(1920, 96),
        ("test", INFRARED, None): Count(3803, 96),
        ("test", None, None): Count(10578, 96),
        ("", None, None): Count(44745, 491),
    },
)

# Under TRAIN_ON train, by TEST_ON. How many images the identities of each list have is not published.
_TRAIN_ID: dict[Group, Count] = {("train", None, None): Count(None, 296)}
SYSU_MM01_LISTS = {
    "test": PublishedCounts(
        SYSU_MM01.source,
        {**_TRAIN_ID, **{group: count for group, count in SYSU_MM01.counts.items() if group[0] == "test"}},
    ),
    "val": PublishedCounts(SYSU_MM01.source, {**_TRAIN_ID, ("test", None, None): Count(None, 99)}),
}

# Each of the ten splits.
REGDB = PublishedCounts(
    "Nguyen et al., Sensors 2017: 412 identities, ten images of each in each modality; half of them train",
    {
        ("train", VISIBLE, 1): Count(2060, 206),
        ("train", INFRARED, 2): Count(2060, 206),
        ("train", None, None): Count(4120, 206),
        ("test", VISIBLE, 1): Count(2060, 206),
        ("test", INFRARED, 2): Count(2060, 206),
        ("test", None, None): Count(4120, 206),
        ("", None, None): Count(8240, 412),
    },
)

# Images by subset, modality or camera are not published.
LLCM = PublishedCounts(
    "Zhang and Wang, CVPR 2023; github.com/ZYK100/LLCM: 46,767 images of 1,064 identities, 713 of them train",
    {
        ("train", None, None): Count(None, 713),
        ("test", None, None): Count(None, 351),
        ("", None, None): Count(46767, 1064),
    },
)

# The tracks of 12 frames and more, which the released code reads. How many identities each modality has of
# them is not published.
HITSZ_VCM = PublishedCounts(
    "Lin et al., CVPR 2022; images of tracks of 12 frames and more: workingcoder/M3-ReID, data/manager.py",
    {
        ("train", VISIBLE, None): Count(126543, None),
        ("train", INFRARED, None): Count(98214, None),
        ("train", None, None): Count(224757, 500),
        ("test", VISIBLE, None): Count(118137, None),
        ("test", INFRARED, None): Count(105979, None),
        ("test", None, None): Count(224116, 427),
        ("", None, None): Count(448873, 927),
    },
)
