"""Datasets, samplers, transforms and loaders."""

import fastreid  # noqa: F401  isort: skip  (first of all: vireid mends it and registers its parts then)

from vireid.data import datasets, published_samplers, track_sampler
from vireid.data.build import ImageLoader, build_dataset, build_test_loader, build_train_loader
from vireid.data.samples import TrainSet
from vireid.data.transforms import check_transforms
from vireid.registries import SAMPLER_REGISTRY, TRANSFORM_REGISTRY

__all__ = [
    "SAMPLER_REGISTRY",
    "TRANSFORM_REGISTRY",
    "ImageLoader",
    "TrainSet",
    "build_dataset",
    "build_test_loader",
    "build_train_loader",
    "check_transforms",
    "datasets",
    "published_samplers",
    "track_sampler",
]
