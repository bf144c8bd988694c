"""A machine whose shared memory is too small for a batch."""

import pytest
import torch

from vireid.data import samples
from vireid.data.build import ImageLoader
from vireid.data.samples import TestSet
from vireid.errors import MachineError


@pytest.fixture
def no_shared_memory(monkeypatch):
    def refuse(size):
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left\nmore")

    monkeypatch.setattr(torch.UntypedStorage, "_new_shared", refuse)


class Images(list):
    size = (384, 192)


def test_a_worker_names_the_folder_and_what_to_do(monkeypatch, no_shared_memory):
    monkeypatch.setattr(samples, "get_worker_info", object)
    error = TestSet([], Images()).__getitems__([0] * 10)
    assert isinstance(error, MachineError)
    assert str(error) == (
        "no shared memory for a batch of 2 MiB: unable to allocate shared memory(shm) for file </torch_1>: "
        "No space left. Make /dev/shm larger (docker run --shm-size 8g), or set DATALOADER.NUM_WORKERS 0"
    )


def test_the_loader_raises_it():
    class Refusing(torch.utils.data.Dataset):
        def __len__(self):
            return 2

        def __getitems__(self, indices):
            return MachineError("no shared memory")

    loader = ImageLoader(Refusing(), batch_size=2, collate_fn=samples.as_is)
    with pytest.raises(MachineError, match="no shared memory"):
        list(loader)
