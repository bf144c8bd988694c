"""The samplers of published codes, for runs that are compared with theirs.

They draw less evenly than those of ``vireid.data.samplers``: identities and images come up by chance, or not
at all, in an epoch. Here as there, the batches of an epoch depend on the items, the seed and the epoch alone,
and visible images come first.
"""

from collections.abc import Iterator
from itertools import chain

import numpy as np

from vireid.data.samplers import IdentityBatchSampler
from vireid.modality import Modality
from vireid.registries import SAMPLER_REGISTRY


@SAMPLER_REGISTRY.register()
class AGWIdentitySampler(IdentityBatchSampler):
    """K visible and K infrared images of each of P identities, as AGW, CAJ and DEEN draw them.

    The identities of a batch are drawn afresh, each once; the images of an identity and modality are drawn
    with replacement, so that one may be twice in a batch. An epoch is max(visible images, infrared images)
    // (P K) + 1 batches. An identity without images of one modality gives 2 K of the other; the published
    code cannot train on it.
    """

    modalities_apart = True

    def __len__(self) -> int:
        """Batches of an epoch: 696 on SYSU-MM01 and 65 on RegDB with P = 8, K = 4."""
        totals = [
            sum(len(images.get(modality, ())) for images in self.images.values())
            for modality in (Modality.VISIBLE, Modality.INFRARED)
        ]
        return max(totals) // (self.num_pids * self.num_instances) + 1

    def plan(self, rng: np.random.Generator) -> Iterator[list[list[int]]]:
        """For each batch, 2 K images of each of P identities."""
        pids = list(self.images)
        for _ in range(len(self)):
            batch = []
            for chosen in rng.choice(len(pids), self.num_pids, replace=False).tolist():
                images = self.images[pids[chosen]]
                each = 2 * self.num_instances // len(images)
                drawn = (rng.choice(images[modality], each).tolist() for modality in sorted(images))
                batch.append([*chain(*drawn)])
            yield batch


@SAMPLER_REGISTRY.register()
class MCJAIdentitySampler(IdentityBatchSampler):
    """K images of each of P identities, whatever their modality, as MCJA draws them.

    A round divides each identity's images at random into groups of K and drops the rest; an identity with
    fewer than K images gives one group, drawn with replacement. P identities at a time are drawn uniformly
    among those that have groups left, until there are fewer than P.

    The published epoch is one round, whose length varies with the draw (241 to 243 batches on SYSU-MM01).
    Here an epoch always has the number that the published sampler announces before it draws, all groups
    // P; where a round ends early, the epoch goes on with another.
    """

    modalities_apart = False

    def __len__(self) -> int:
        """Batches of an epoch: 243 on SYSU-MM01 (P = 8, K = 16), 51 on RegDB (P = 4, K = 32)."""
        counts = (sum(map(len, images.values())) for images in self.images.values())
        return sum(max(1, count // self.num_instances) for count in counts) // self.num_pids

    def plan(self, rng: np.random.Generator) -> Iterator[list[list[int]]]:
        """For each batch, K images of each of P identities."""
        batches = len(self)
        while batches:
            groups = [self._groups([*chain(*images.values())], rng) for images in self.images.values()]
            available = list(range(len(groups)))
            while batches and len(available) >= self.num_pids:
                chosen = rng.choice(available, self.num_pids, replace=False).tolist()
                yield [groups[pid].pop() for pid in chosen]
                available = [pid for pid in available if groups[pid]]
                batches -= 1

    def _groups(self, images: list[int], rng: np.random.Generator) -> list[list[int]]:
        size = self.num_instances
        if len(images) < size:
            return [rng.choice(images, size).tolist()]
        shuffled = rng.permutation(images).tolist()
        return [shuffled[start : start + size] for start in range(0, len(images) - size + 1, size)]
