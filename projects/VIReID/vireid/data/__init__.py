"""Datasets, samplers, transforms and loaders."""

from importlib.util import find_spec

if find_spec("fastreid") is not None:
    from vireid.data import datasets
    from vireid.data.build import ImageLoader, build_dataset, build_test_loader, build_train_loader
    from vireid.data.common import TrainSet
    from vireid.data.samplers import SAMPLER_REGISTRY
    from vireid.data.transforms import TRANSFORM_REGISTRY, check_transforms

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
    ]
