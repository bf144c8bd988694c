"""Batches of tracks instead of images."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from vireid.data.samplers import CrossModalityIdentitySampler
from vireid.evaluation.tracks import strip_positions
from vireid.registries import SAMPLER_REGISTRY


@SAMPLER_REGISTRY.register()
class TrackSampler(CrossModalityIdentitySampler):
    """n frames of each of K visible and K infrared tracks of each of P identities.

    It draws tracks as its parent draws images; an epoch counts tracks. Of each track, one frame of each of n
    equal strips is drawn, as in the released code of HITSZ-VCM. A track's frames stand together in the
    batch. An image without a track is a track of one frame, which repeats.

    Args:
        frames: n (DATALOADER.TRACK_FRAMES); ``batch_size`` counts images.
    """

    def __init__(
        self, items: Sequence[Any], batch_size: int, num_instances: int, *, frames: int, **run: int
    ) -> None:
        self.frames = frames
        super().__init__(items, batch_size, num_instances, **run)
        self.tracks: dict[int, list[int]] = {}  # by the first frame
        for of_modality in self.images.values():
            for modality, images in of_modality.items():
                members: dict[Any, list[int]] = defaultdict(list)
                for index in images:
                    track = self.items[index].track
                    members[("image", index) if track is None else track].append(index)
                self.tracks |= {indices[0]: indices for indices in members.values()}
                of_modality[modality] = [indices[0] for indices in members.values()]

    @classmethod
    def from_config(
        cls, cfg: Any, items: Sequence[Any], *, seed: int, rank: int, world_size: int
    ) -> "TrackSampler":
        """Read SOLVER.IMS_PER_BATCH, DATALOADER.NUM_INSTANCE and DATALOADER.TRACK_FRAMES."""
        return cls(
            items,
            cfg.SOLVER.IMS_PER_BATCH,
            cfg.DATALOADER.NUM_INSTANCE,
            frames=cfg.DATALOADER.TRACK_FRAMES,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )

    def plan(self, rng: np.random.Generator) -> Iterator[list[list[int]]]:
        """For each batch, 2 K n images of each of P identities."""
        for batch in super().plan(rng):
            yield [[frame for first in tracks for frame in self._draw(first, rng)] for tracks in batch]

    def _draw(self, first: int, rng: np.random.Generator) -> list[int]:
        own = self.tracks[first]
        return [own[place] for place in strip_positions(len(own), self.frames, rng)]
