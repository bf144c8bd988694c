"""The report of a check: report.json with everything, report.md with tables."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from vireid.files import write_atomically

NAMES = ("report.json", "report.md")


class Report:
    """Both files, written anew with each part, so that what comes later loses nothing.

    Args:
        output: the folder.
        facts: of ``machine_facts``.
        about: plain values: how the check was started.
    """

    def __init__(self, output: Path, facts: dict[str, str], about: dict[str, Any]) -> None:
        self.output = output
        self.content: dict[str, Any] = {"machine": facts, "about": about, "parts": {}}
        self._write()

    def add(self, name: str, result: dict[str, Any]) -> None:
        """Take in what ``run_part`` gave for a part, and write the files."""
        self.content["parts"][name] = result
        self._write()

    def _write(self) -> None:
        data, page = json.dumps(self.content, indent=2).encode(), markdown(self.content).encode()
        write_atomically(self.output / NAMES[0], lambda file: file.write(data))
        write_atomically(self.output / NAMES[1], lambda file: file.write(page))


def markdown(content: dict[str, Any]) -> str:
    """The report as a page."""
    facts, about = content["machine"], content["about"]
    title = facts.get("GPU", facts["processor"]).partition(",")[0]
    lines = [f"# Check on {title}", "", f"`{about['command']}`", "", *table(("", ""), facts.items())]
    for name, part in content["parts"].items():
        lines += ["", f"## {name.capitalize()}: {part['outcome']} ({part['seconds']} s)", ""]
        lines += _tables_of(name, part["figures"])
        if "log_end" in part:
            lines += ["", f"The end of {name}.log:", "", "```", *part["log_end"], "```"]
    return "\n".join(lines) + "\n"


def _tables_of(name: str, figures: Any) -> list[str]:
    try:
        return TABLES[name](figures) if figures else ["No figures."]
    except (KeyError, TypeError, IndexError, ValueError) as error:  # the other parts are not to be lost
        return [f"The figures have another form ({type(error).__name__}: {error})."]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a table."""
    cells = [head, ["---"] * len(head), *rows]
    return [
        "| " + " | ".join(str(cell).replace("\n", " ").replace("|", "/") for cell in row) + " |"
        for row in cells
    ]


def summary(name: str, part: dict[str, Any]) -> str:
    """One line about a part, for the screen."""
    text = f"{name}: {part['outcome']}, {part['seconds']} s"
    if name == "tests" and part["figures"]:
        counts = Counter(line["outcome"] for line in part["figures"])
        text += "; " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    return text


def _images(figures: dict[str, Any]) -> list[str]:
    each = 1000 * figures["seconds_of_one_core"] / max(1, figures["images"])
    return [
        f"{figures['images']} images, {figures['megabytes']} MB, in {figures['seconds']} s; one core takes "
        f"{each:.1f} ms for an image (0 where they were there already)."
    ]


def _tests(figures: list[dict[str, Any]]) -> list[str]:
    counts = Counter(line["outcome"] for line in figures)
    lines = [", ".join(f"{count} {outcome}" for outcome, count in counts.items()) + ".", ""]
    rest = [line for line in figures if line["outcome"] != "passed"]
    if rest:
        rows = [(line["test"], line["outcome"], line["why"]) for line in rest]
        lines += [*table(("test", "", "why"), rows), ""]
    rows = [
        (line["test"].partition("::")[2], line["seconds"], _pairs(line["figures"]))
        for line in figures
        if line["outcome"] == "passed"
    ]
    return lines + table(("passed", "s", "measured"), rows)


def _pairs(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in figures.items())


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _step(figures: dict[str, Any]) -> list[str]:
    height, width = figures["size"]
    rows = [
        (
            row["step"],
            _number(row["seconds"]),
            row["over"],
            _number(row["over_seconds"]),
            f"{row['ratio']:.2f}",
        )
        for row in figures["rows"]
    ]
    head = "step of", "s", "over that of", "s", "ratio"
    about = f"{figures['images']} images of {height}x{width}, {figures['dtype']}, {figures['device']}."
    return [about, "", *table(head, rows)]


def _data(figures: dict[str, Any]) -> list[str]:
    height, width = figures["size"]
    names = "toolkit", "uncached", "cached", "copy"
    rows = [
        (recipe, *(f"{found[name]:,.0f}" for name in names)) for recipe, found in figures["recipes"].items()
    ]
    waited = figures["training"]
    head = "recipe", "FastReID's own, images/s", "uncached", "cached", "limit of cached"
    return [
        f"One core, {height}x{width}.",
        "",
        *table(head, rows),
        "",
        f"A training step of {waited['images']} images takes {1000 * waited['step']:.0f} ms, of which "
        f"{100 * waited['waiting']:.1f} % wait for data.",
    ]


def _trainings(figures: dict[str, Any]) -> list[str]:
    rows: list[Sequence[object]] = []
    for name, row in figures["rows"].items():
        if "error" in row:
            rows.append((name, row["error"], *[""] * 6))
            continue
        values = [result[metric] for result in row["figures"].values() for metric in ("Rank-1", "mAP")]
        shown = [f"{value:.1f}" for value in values]
        rows.append((name, row["steps"], _number(row["seconds_a_step"]), row["seconds"], *shown))
    head = "row", "steps", "s a step", "s in all", "Rank-1", "mAP", "Rank-1 + MSER", "mAP + MSER"
    return [
        "ResNet-50 from scratch (the tiny check: a tiny network), each row once: differences of a few points "
        "mean nothing.",
        "",
        *table(head, rows),
    ]


TABLES: dict[str, Callable[[Any], list[str]]] = {
    "images": _images,
    "tests": _tests,
    "step": _step,
    "data": _data,
    "trainings": _trainings,
}
