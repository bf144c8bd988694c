"""What the paths of images below a folder say of them: identity, camera, modality, subset, time and track.

Levels of folders are counted from the one that is listed: in 0001/rgb/a.jpg, 0001 is of level 1.
"""

import datetime
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from vireid.errors import ConfigError
from vireid.image_names import (
    MODALITY_WORDS,
    PERSON_AND_CAMERA,
    SUBSET_WORDS,
    camera_name,
    is_day,
    kind_of,
    modalities,
    moment,
    subsets,
    words_of,
)
from vireid.modality import Modality

PATTERN_GROUPS = ("identity", "camera", "modality", "subset")
Kinds = tuple[str, ...]  # of the folders of a path


@dataclass(frozen=True)
class Named:
    """What the path of an image says; None where it says nothing.

    Attributes:
        faults: what it says twice, and differently.
    """

    identity: str | None = None
    camera: str | None = None
    modality: Modality | None = None
    subset: str | None = None
    time: datetime.datetime | None = None
    track: str | None = None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choices:
    """What decides where names leave it open.

    Attributes:
        identity_level, camera_level: the level that is taken for it, whatever it looks like; 0: found out.
        pattern: a regular expression with some groups of PATTERN_GROUPS, which is looked for in each path,
            written with slashes; what they match is taken.
        persons: whether the folders are known to be of persons, so that a name may be one; else a number is.
    """

    identity_level: int = 0
    camera_level: int = 0
    pattern: str = ""
    persons: bool = True


def read_paths(paths: Sequence[PurePath], choices: Choices) -> tuple[list[Named], list[str]]:
    """Read the paths of a folder together: a level is taken for the same thing in all that have folders of
    the same kinds. The identity is the level of numbers; where there is none, that of names; a date is none.

    Args:
        paths: relative to the folder.

    Returns:
        What each says; and lines that tell what each level was taken for, with counts and three examples.

    Raises:
        ConfigError: a level that a path does not have, or that could be two things; a pattern that is wrong,
            or that does not match a path.
    """
    groups: dict[Kinds, list[int]] = defaultdict(list)
    for number, path in enumerate(paths):
        kinds = [kind_of(folder) for folder in path.parts[:-1]]
        groups[tuple("name" if kind in ("date", "number", "text") else kind for kind in kinds)].append(number)
    found: list[Named] = [Named()] * len(paths)
    lines: list[str] = []
    for alike, numbers in groups.items():
        members = [paths[number] for number in numbers]
        taken = _taken(alike, members, choices)
        lines += _lines(taken, members)
        for number, path in zip(numbers, members):
            found[number] = _named(path, taken, choices)
    if choices.persons:
        _add_words_of_names(paths, found)
    if choices.pattern:
        found = _matched(paths, found, choices.pattern)
    return found, lines


def _taken(kinds: Kinds, paths: Sequence[PurePath], choices: Choices) -> list[str]:
    """What each level is taken for: identity, camera, date, words, track or nothing."""
    for level in (choices.identity_level, choices.camera_level):
        if level > len(kinds):
            raise ConfigError(f"{paths[0]} has {len(kinds)} folders, and none of level {level}")
    taken = list(kinds)
    for place in (place for place, kind in enumerate(kinds) if kind == "name"):
        alike = {kind_of(path.parts[place]) for path in paths}
        taken[place] = alike.pop() if len(alike) == 1 else "text"
    if choices.camera_level:
        taken = ["nothing" if kind == "camera" else kind for kind in taken]
        taken[choices.camera_level - 1] = "camera"
    numbers = [place for place, kind in enumerate(taken) if kind == "number"]
    names = [place for place, kind in enumerate(taken) if kind in ("number", "text")]
    if choices.identity_level:
        chosen = [choices.identity_level - 1]
    elif choices.persons:
        chosen = numbers or names
    else:
        chosen = names[-1:] if names[-1:] == numbers[-1:] else []
    if len(chosen) > 1 and "(?P<identity>" in choices.pattern:
        chosen = []
    if len(chosen) > 1:
        told = " or ".join(f"level {place + 1} ({paths[0].parts[place]}, ...)" for place in chosen)
        raise ConfigError(f"{paths[0]}: its identity could be {told}; say its level, or give a pattern")
    taken = ["nothing" if kind in ("number", "text") else kind for kind in taken]
    for place in chosen:
        taken[place] = "identity"
    return taken


def _lines(taken: Sequence[str], paths: Sequence[PurePath]) -> list[str]:
    lines = []
    for place, kind in enumerate(taken):
        names = sorted({path.parts[place] for path in paths})
        if kind == "words":
            said = {"modality": any(map(modalities, names)), "subset": bool(subsets(names))}
            kind = " and ".join(word for word, whether in said.items() if whether)
        lines.append(f"level {place + 1}: {kind}; {_some(names)}, in {len(paths)} images")
    for kind, days in (("identity and camera", False), ("camera", True)):
        matches = [
            path.name
            for path in paths
            if (match := PERSON_AND_CAMERA.match(path.name))
            if is_day(match[1]) == days
        ]
        if matches:
            lines.append(f"file names: {kind}; {_some(matches)}, in {len(matches)} images")
    return lines


def contradictions(paths: Sequence[PurePath], found: Sequence[Named]) -> list[str]:
    """A line for each way in which paths contradict themselves, with their number and the first."""
    faults: dict[str, list[PurePath]] = defaultdict(list)
    for path, named in zip(paths, found):
        for fault in named.faults:
            faults[fault].append(path)
    return [f"{alike[0]}: {fault} ({len(alike)} of {len(paths)} images)" for fault, alike in faults.items()]


def _some(names: Sequence[str]) -> str:
    return f"{len(names)} names ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"


def _named(path: PurePath, taken: Sequence[str], choices: Choices) -> Named:
    folders: dict[str, list[str]] = defaultdict(list)
    for folder, kind in zip(path.parts, taken):
        folders[kind].append(folder)
    match = PERSON_AND_CAMERA.match(path.name)
    persons = folders["identity"]
    if match and not is_day(match[1]) and not choices.identity_level:
        persons = [*(name for name in persons if name.isdigit()), match[1]]
    cameras = list(map(camera_name, folders["camera"] + ([match[2]] if match else [])))
    cameras = cameras[:1] if choices.camera_level else cameras
    kinds = {kind for name in [*folders["words"], *words_of(path.stem)[-1:]] for kind in modalities(name)}
    of_subset = subsets(folders["words"])
    told = {
        "identities": {name.lstrip("0") for name in persons},
        "cameras": {*cameras},
        "modalities": {kind.name.lower() for kind in kinds},
        "subsets": of_subset,
    }
    return Named(
        persons[-1] if persons else None,
        cameras[-1] if cameras else None,
        kinds.pop() if len(kinds) == 1 else None,
        min(of_subset, default=None),
        moment(path.stem),
        folders["track"][0] if folders["track"] else None,
        tuple(
            f"it names the {what} {' and '.join(sorted(said))}"
            for what, said in told.items()
            if len(said) > 1
        ),
    )


def _add_words_of_names(paths: Sequence[PurePath], found: list[Named]) -> None:
    """Where neither folders nor the ends of names say the modality, take the word of the names that says it
    in all of them, if there is one."""
    lacking = [n for n, said in enumerate(found) if said.modality is None and not said.faults]
    words = [words_of(paths[n].stem) for n in lacking]
    places = range(min(map(len, words), default=0))
    place = next((p for p in places if all(line[p] in MODALITY_WORDS for line in words)), None)
    if place is not None:
        for n, line in zip(lacking, words):
            found[n] = replace(found[n], modality=MODALITY_WORDS[line[place]])


def _matched(paths: Sequence[PurePath], found: Sequence[Named], pattern: str) -> list[Named]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"the pattern {pattern!r} is no regular expression: {error}") from None
    if not compiled.groupindex or not {*compiled.groupindex} <= {*PATTERN_GROUPS}:
        groups = ", ".join(f"(?P<{name}>...)" for name in PATTERN_GROUPS)
        raise ConfigError(f"the pattern {pattern!r}: expected some of the groups {groups}, and no other")
    settled = []
    for path, said in zip(paths, found):
        match = compiled.search(path.as_posix())
        if match is None:
            raise ConfigError(f"the pattern {pattern!r} does not match {path.as_posix()}")
        change: dict[str, object] = {name: text for name, text in match.groupdict().items() if text}
        for name, known in (("modality", MODALITY_WORDS), ("subset", SUBSET_WORDS)):
            word = str(change.get(name, "")).lower()
            if name in change and word not in known:
                raise ConfigError(f"the pattern {pattern!r}: the {name} of {path.as_posix()} is {word!r}")
            change |= {name: known[word]} if name in change else {}  # type: ignore[index]
        settled.append(replace(said, **change, faults=()))  # type: ignore[arg-type]
    return settled
