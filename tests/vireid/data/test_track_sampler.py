"""Batches of tracks, and the frames that are drawn of them."""

from collections import Counter

import pytest

from vireid import Modality
from vireid.data.datasets import ImageItem
from vireid.data.track_sampler import TrackSampler
from vireid.errors import ConfigError

TRACKS = {  # identity -> visible and infrared tracks, by their numbers of frames; 0: an image without a track
    7: ([4, 9, 1], [12, 5]),
    8: ([6, 0, 0], [7]),
    9: ([3], []),
}


def make_items():
    items, track = [], 0
    for pid, sides in TRACKS.items():
        for modality, lengths in zip((Modality.VISIBLE, Modality.INFRARED), sides):
            for frames in lengths:
                track += 1
                items += [
                    ImageItem(f"{track}/{frame}", pid, 0, modality, track if frames else None)
                    for frame in range(max(1, frames))
                ]
    return items


@pytest.mark.parametrize("frames", [1, 3, 6])
def test_a_batch_has_a_frame_of_each_strip_of_its_tracks(frames):
    items = make_items()
    of_track = Counter(item.path.split("/")[0] for item in items)
    sampler = TrackSampler(items, 2 * 4 * frames, 2, frames=frames, seed=1)
    assert len(sampler) == 7 // 4  # visible tracks, by 2 identities x 2 tracks
    seen = Counter()
    for epoch in range(150):
        sampler.set_epoch(epoch)
        for batch in sampler:
            drawn = [items[index] for index, _ in batch]
            assert [item.modality for item in drawn] == sorted(item.modality for item in drawn)
            assert len({item.pid for item in drawn}) == 2 and len({seed for _, seed in batch}) == len(batch)
            for start in range(0, len(drawn), frames):
                (name,) = {item.path.split("/")[0] for item in drawn[start : start + frames]}
                count = of_track[name]
                length = -(-count // frames)
                for strip, item in enumerate(drawn[start : start + frames]):
                    place = int(item.path.split("/")[1])
                    assert (
                        min(strip * length, count - 1) <= place < (strip + 1) * length or place == count - 1
                    )
                    seen[item.path] += 1
    assert set(seen) == {item.path for item in items}


def test_the_same_epoch_has_the_same_batches_and_processes_share_them():
    items = make_items()
    sampler, again = (TrackSampler(items, 24, 2, frames=3, seed=5) for _ in range(2))
    assert list(sampler) == list(again)
    halves = [list(TrackSampler(items, 24, 2, frames=3, seed=5, rank=rank, world_size=2)) for rank in (0, 1)]
    assert [sorted(a + b) for a, b in zip(*halves)] == [sorted(batch) for batch in sampler]


def test_a_batch_size_that_does_not_divide_names_the_frames():
    message = r"needs a multiple of 2 x DATALOADER.NUM_INSTANCE \(2\) x DATALOADER.TRACK_FRAMES \(3\) = 12"
    with pytest.raises(ConfigError, match=message):
        TrackSampler(make_items(), 20, 2, frames=3)
    with pytest.raises(ConfigError, match="asks for 4 identities a batch, and the training set has 3: set "):
        TrackSampler(make_items(), 48, 2, frames=3)
