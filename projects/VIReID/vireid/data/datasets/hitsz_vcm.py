"""HITSZ-VCM (Lin et al., CVPR 2022): tracks by twelve cameras of both modalities, 927 identities."""

import re
from collections.abc import Hashable, Iterator
from os.path import isdir, join
from typing import NamedTuple

from fastreid.data.datasets import DATASET_REGISTRY

from vireid.data.datasets import published_counts
from vireid.data.datasets.base import ImageItem, VisibleInfraredDataset
from vireid.data.datasets.reading import SEE, Listing, is_number, read_lines
from vireid.errors import DatasetError
from vireid.evaluation.protocols import Setting
from vireid.evaluation.vcm import vcm_settings
from vireid.modality import Modality

SHORTEST = 12  # frames; the released code leaves out shorter tracks
FOLDERS = {"train": "Train", "test": "Test"}
SIDES = {1: ("ir", Modality.INFRARED), 2: ("rgb", Modality.VISIBLE)}
FRAME = re.compile(r"(\d{4})M([12])D(\d+)T\d+F([^/\\]+)")
FRAMES = "lines such as 0001M2D3T1F1.jpg: identity, modality (1 infrared, 2 visible), camera, track and image"
TRACKS = "lines of five numbers: modality (1 infrared, 2 visible), first and last name, identity, camera"
QUERIES = "numbers of lines of track_test_info.txt"


class Track(NamedTuple):
    """A line of track_*_info.txt; ``first`` and ``last`` count the lines of *_name.txt from 1."""

    side: int
    first: int
    last: int
    pid: int
    camid: int


@DATASET_REGISTRY.register()
class HITSZVCM(VisibleInfraredDataset):
    """``info/{train,test}_name.txt`` name the frames, ``info/track_{train,test}_info.txt`` the tracks.

    The images are ``Train/`` and ``Test/<id:04d>/{ir,rgb}/D<camera>/<n>.jpg``, or without these two folders.
    A camera has the same number in both modalities. A frame has the labels of its track.
    """

    folder = "HITSZ-VCM"
    published = published_counts.HITSZ_VCM

    def read_train(self) -> list[ImageItem]:
        """The frames of the training tracks."""
        return self._read("train")

    def read_test(self) -> list[ImageItem]:
        """The frames of the test tracks, in the order of the list."""
        return self._read("test")

    def identity(self, item: ImageItem) -> Hashable:
        """Its number, which is one person's in all lists."""
        return item.pid

    def settings(self, trials: int = 10) -> tuple[Setting, ...]:
        """Both directions, by tracks; nothing is drawn."""
        queries = self._queries()
        pids, camids, tracks = zip(*((item.pid, item.camid, item.track) for item in self.test))
        return vcm_settings(pids, camids, [track in queries for track in tracks], tracks)

    def own_faults(self) -> Iterator[str]:
        """Queries that are not infrared, and tracks of frames that name something else."""
        queries = self._queries()
        wrong = {item.track for item in self.test if (item.track in queries) != (item.modality == 1)}
        if wrong:
            yield f"{self._list('query_IDX.txt')} does not name the infrared tracks: {len(wrong)} differ"
        for subset in FOLDERS:
            path, names = self._list(f"track_{subset}_info.txt"), self._names(subset)
            for number, track in self._tracks(subset).items():
                own = names[track.first - 1 : track.last]
                other = [name for name in own if not _is_of(name, track)]
                if other:
                    yield (
                        f"{path}, line {number}: by their names, {len(other)} of {len(own)} frames are of "
                        f"another person, modality or camera, such as {other[0]}"
                    )

    def _queries(self) -> set[int]:
        """The lines of track_test_info.txt that are queries from infrared to visible."""
        path = self._list("query_IDX.txt")
        lines = len(self._tracks("test"))
        found: set[int] = set()
        for number, line in read_lines(path, QUERIES):
            for word in line.split():
                if not is_number(word) or not 1 <= int(word) <= lines:
                    raise DatasetError(
                        f"{path}, line {number}: found {word[:40]!r}; expected {QUERIES}, 1 to {lines}; {SEE}"
                    )
                found.add(int(word))
        return found

    def _read(self, subset: str) -> list[ImageItem]:
        names, listing = self._names(subset), Listing()
        source = self._list(f"{subset}_name.txt")
        within = join(self.dataset_dir, FOLDERS[subset])
        base = within if isdir(within) else self.dataset_dir
        items = []
        for number, track in self._tracks(subset).items():
            if track.last - track.first + 1 < SHORTEST:
                continue
            for line in range(track.first, track.last + 1):
                frame = FRAME.fullmatch(names[line - 1])
                if frame is None:
                    self.report(
                        f"{source}, line {line}: found {names[line - 1][:80]!r}; expected {FRAMES}; {SEE}"
                    )
                    continue
                pid, side, camera, image = frame.groups()
                path = join(base, pid, SIDES[int(side)][0], f"D{camera}", image)
                if listing.has(path):
                    items.append(ImageItem(path, track.pid, track.camid, SIDES[track.side][1], number))
                else:
                    self.report(
                        f"{source}, line {line}: {path} does not exist; is the dataset complete? {SEE}"
                    )
        if not items:
            raise DatasetError(
                f"{self._list(f'track_{subset}_info.txt')} has no track of {SHORTEST} frames or more; the "
                f"protocol leaves out shorter ones; {SEE}"
            )
        return items

    def _names(self, subset: str) -> list[str]:
        return [line for _, line in read_lines(self._list(f"{subset}_name.txt"), FRAMES)]

    def _tracks(self, subset: str) -> dict[int, Track]:
        """The tracks of a list by the number of their line."""
        path, frames = self._list(f"track_{subset}_info.txt"), len(self._names(subset))
        tracks = {}
        for number, line in read_lines(path, TRACKS):
            words = line.split()
            track = Track(*map(int, words)) if len(words) == 5 and all(map(is_number, words)) else None
            if track is None or track.side not in SIDES or not 1 <= track.first <= track.last <= frames:
                self.report(
                    f"{path}, line {number}: found {line[:80]!r}; expected {TRACKS}, of {frames} names; {SEE}"
                )
            else:
                tracks[number] = track
        return tracks

    def _list(self, name: str) -> str:
        return join(self.dataset_dir, "info", name)


def _is_of(name: str, track: Track) -> bool:
    """Whether a frame's name says what the line of its track does."""
    frame = FRAME.fullmatch(name)
    return frame is None or tuple(map(int, frame.groups()[:3])) == (track.pid, track.side, track.camid)
