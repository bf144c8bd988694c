"""SYSU-MM01, RegDB, LLCM, HITSZ-VCM and lists of images, registered beside the toolkit's datasets."""

from vireid.data.datasets.base import ImageItem, VisibleInfraredDataset, as_image_item
from vireid.data.datasets.hitsz_vcm import HITSZVCM
from vireid.data.datasets.llcm import LLCM
from vireid.data.datasets.own_list import List
from vireid.data.datasets.regdb import RegDB
from vireid.data.datasets.sysu_mm01 import SYSUMM01

__all__ = [
    "HITSZVCM",
    "LLCM",
    "SYSUMM01",
    "ImageItem",
    "List",
    "RegDB",
    "VisibleInfraredDataset",
    "as_image_item",
]
