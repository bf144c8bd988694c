"""Which images make up a training batch.

A sampler yields lists of (index, seed), visible images first; the training set seeds the augmentation of a
sample with ``seed``. The batches of an epoch depend on the items, the run's seed and the epoch alone, so that
a resumed run, or one with another number of workers, sees the same ones. Every process computes all
batches and takes its own identities of each.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, ClassVar, Protocol

import numpy as np

from vireid.data.datasets.base import as_image_item
from vireid.errors import ConfigError
from vireid.modality import Modality
from vireid.registries import SAMPLER_REGISTRY, find

Sample = tuple[int, int]  # index of the item, seed of its augmentation


class BatchSampler(Protocol):
    """What a training loader needs of a sampler."""

    def set_epoch(self, epoch: int) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[list[Sample]]: ...


class IdentityBatchSampler:
    """Batches of P identities, divided among the processes.

    Args:
        items: all training images; the fields pid and modality are used.
        batch_size: images of a batch over all processes (SOLVER.IMS_PER_BATCH).
        num_instances: K (DATALOADER.NUM_INSTANCE).
        seed, rank, world_size: of the run, and which of how many processes this one is.

    Raises:
        ConfigError: a batch size that does not divide, or more identities a batch than there are.
    """

    modalities_apart: ClassVar[bool]  # whether K counts each modality
    frames = 1  # images that each of the K gives

    def __init__(
        self,
        items: Sequence[Any],
        batch_size: int,
        num_instances: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.items = [as_image_item(item) for item in items]
        self.batch_size, self.num_instances, self.epoch = batch_size, num_instances, 0
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.images: dict[Any, dict[Modality, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, item in enumerate(self.items):
            self.images[item.pid][item.modality].append(index)
        self.images = {pid: dict(self.images[pid]) for pid in sorted(self.images)}
        self.num_pids = self._check()

    @classmethod
    def from_config(
        cls, cfg: Any, items: Sequence[Any], *, seed: int, rank: int, world_size: int
    ) -> "IdentityBatchSampler":
        """Read SOLVER.IMS_PER_BATCH and DATALOADER.NUM_INSTANCE."""
        batch_size, num_instances = cfg.SOLVER.IMS_PER_BATCH, cfg.DATALOADER.NUM_INSTANCE
        return cls(items, batch_size, num_instances, seed=seed, rank=rank, world_size=world_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, that the next iteration goes through."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches of an epoch."""
        raise NotImplementedError

    def plan(self, rng: np.random.Generator) -> Iterator[list[list[int]]]:
        """For each batch, the images of each of its P identities."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[list[Sample]]:
        """This process's share of each batch."""
        plan_rng, seed_rng = (np.random.default_rng([self.seed, self.epoch, part]) for part in range(2))
        share = self.num_pids // self.world_size
        mine = slice(self.rank * share, (self.rank + 1) * share)
        for batch in self.plan(plan_rng):
            seeds = iter(seed_rng.integers(2**31, size=self.batch_size).tolist())
            samples = [[(index, next(seeds)) for index in images] for images in batch]
            yield sorted(chain(*samples[mine]), key=lambda sample: self.items[sample[0]].modality)

    def _check(self) -> int:
        factor = 2 if self.modalities_apart else 1
        per_pid = factor * self.num_instances * self.frames
        step = per_pid * self.world_size
        if self.batch_size % step:
            names = f"{factor} x " * (factor > 1) + f"DATALOADER.NUM_INSTANCE ({self.num_instances})"
            names += f" x DATALOADER.TRACK_FRAMES ({self.frames})" * (self.frames > 1)
            processes = f" x {self.world_size} processes" if self.world_size > 1 else ""
            raise ConfigError(
                f"SOLVER.IMS_PER_BATCH is {self.batch_size}; {type(self).__name__} needs a multiple of "
                f"{names}{processes} = {step}, such as {max(1, round(self.batch_size / step)) * step}"
            )
        num_pids = self.batch_size // per_pid
        if len(self.images) < num_pids:
            most = len(self.images) // self.world_size * step
            raise ConfigError(
                f"SOLVER.IMS_PER_BATCH {self.batch_size} with DATALOADER.NUM_INSTANCE {self.num_instances} "
                f"asks for {num_pids} identities a batch, and the training set has {len(self.images)}: set "
                f"SOLVER.IMS_PER_BATCH to {most} or less, or raise DATALOADER.NUM_INSTANCE"
            )
        return num_pids


@SAMPLER_REGISTRY.register()
class CrossModalityIdentitySampler(IdentityBatchSampler):
    """K visible and K infrared images of each of P identities.

    An epoch is max(visible images, infrared images) // (P K) batches, at least one. Identities come up
    equally often (once more or less), and so do the images of an identity and modality. An identity
    without images of one modality gives 2 K of the other.
    """

    modalities_apart = True

    def __len__(self) -> int:
        """Batches of an epoch."""
        kinds = (Modality.VISIBLE, Modality.INFRARED)
        totals = [sum(len(images.get(kind, ())) for images in self.images.values()) for kind in kinds]
        return max(1, max(totals) // (self.num_pids * self.num_instances))

    def plan(self, rng: np.random.Generator) -> Iterator[list[list[int]]]:
        """For each batch, 2 K images of each of P identities."""
        pids = _ShuffledRounds(list(self.images), rng)
        images_of = {
            pid: [_ShuffledRounds(images[modality], rng) for modality in sorted(images)]
            for pid, images in self.images.items()
        }
        for _ in range(len(self)):
            batch = []
            for pid in pids.draw(self.num_pids):
                each = 2 * self.num_instances // len(images_of[pid])
                batch.append([index for rounds in images_of[pid] for index in rounds.draw(each)])
            yield batch


@SAMPLER_REGISTRY.register()
class ModalityFreeIdentitySampler(IdentityBatchSampler):
    """K images of each of P identities, whatever their modality.

    Each identity's images are divided at random into groups of K; the rest, fewer than K images, is not used
    in the epoch. An identity with fewer than K images gives one group, in which they repeat. A batch holds
    groups of P different identities, and no group is in two batches; an epoch has as many batches as the
    groups allow.
    """

    modalities_apart = False

    def __len__(self) -> int:
        """Batches of an epoch."""
        groups = self._groups_of_each()
        # b batches take at most b groups of an identity.
        most = groups.sum() // self.num_pids
        return next(b for b in range(most, 0, -1) if np.minimum(groups, b).sum() >= b * self.num_pids)

    def plan(self, rng: np.random.Generator) -> Iterator[list[list[int]]]:
        """For each batch, K images of each of P identities."""
        groups = [self._split([*chain(*images.values())], rng) for images in self.images.values()]
        batches = len(self)
        left = np.minimum(self._groups_of_each(), batches)
        # Groups that fit into no batch are left out at random.
        owners = rng.permutation(np.repeat(np.arange(len(left)), left))[: batches * self.num_pids]
        left = np.bincount(owners, minlength=len(left))
        for remaining in range(batches, 0, -1):
            # Identities with as many groups as there are batches left come first. The others are drawn at
            # random, in proportion to their groups.
            with np.errstate(divide="ignore"):
                order = np.where(left == remaining, 2.0, rng.random(len(left)) ** (1.0 / left))
            chosen = rng.permutation(np.argsort(-order, kind="stable")[: self.num_pids])
            left[chosen] -= 1
            yield [groups[pid].pop() for pid in chosen.tolist()]

    def _groups_of_each(self) -> np.ndarray:
        counts = np.array([sum(map(len, images.values())) for images in self.images.values()])
        return np.maximum(1, counts // self.num_instances)

    def _split(self, images: list[int], rng: np.random.Generator) -> list[list[int]]:
        rounds = _ShuffledRounds(images, rng)
        return [rounds.draw(self.num_instances) for _ in range(max(1, len(images) // self.num_instances))]


class EpochBatches:
    """The batches of each epoch of another sampler, from a step on; at most ``count`` of them, 0 for all."""

    def __init__(self, sampler: BatchSampler, count: int = 0) -> None:
        self.sampler, self.count = sampler, count
        self.step = 0

    def set_epoch(self, epoch: int, step: int = 0) -> None:
        """Choose the epoch, and the batch of it, from 0, that the next iteration begins with."""
        self.sampler.set_epoch(epoch)
        self.step = step

    def __len__(self) -> int:
        """Batches of an epoch, also of one that is begun in its middle."""
        return min(self.count or len(self.sampler), len(self.sampler))

    def __iter__(self) -> Iterator[list[Sample]]:
        """The batches from the step on."""
        yield from islice(self.sampler, self.step, len(self))


def build_sampler(cfg: Any, items: Sequence[Any], seed: int, rank: int, world_size: int) -> EpochBatches:
    """The sampler that DATALOADER.SAMPLER_TRAIN names.

    Raises:
        ConfigError: an unknown name, or what the sampler refuses.
    """
    kind = find(SAMPLER_REGISTRY, cfg.DATALOADER.SAMPLER_TRAIN, "DATALOADER.SAMPLER_TRAIN")
    sampler: BatchSampler = kind.from_config(cfg, items, seed=seed, rank=rank, world_size=world_size)
    return EpochBatches(sampler, max(0, cfg.DATALOADER.MAX_BATCHES_PER_EPOCH))


class _ShuffledRounds:
    """Items in shuffled rounds: a round gives each item once before the next round begins.

    ``draw(count)`` gives an item twice only where ``count`` is more than there are items.
    """

    def __init__(self, items: list[Any], rng: np.random.Generator) -> None:
        self.items, self.rng = items, rng
        self.left: list[Any] = []

    def draw(self, count: int) -> list[Any]:
        drawn: list[Any] = []
        while len(drawn) < count:
            if not self.left:
                shuffled = [self.items[i] for i in self.rng.permutation(len(self.items)).tolist()]
                held = set(drawn) if len(drawn) < len(self.items) else set()
                self.left = sorted(shuffled, key=held.__contains__)
            taken = min(count - len(drawn), len(self.left))
            drawn += self.left[:taken]
            del self.left[:taken]
        return drawn
