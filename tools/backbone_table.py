#!/usr/bin/env python
"""Write the table of docs/backbones.md: every variant of every backbone in every method.

Each trains two steps on random images (PMCM in mixed precision), is evaluated, saved, built anew and
compared. It takes half an hour. The matrix is that of the tests, so this runs in a checkout alone.
"""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "backbones.md"
START, END = "<!-- matrix -->", "<!-- /matrix -->"
EXAMPLES = """
examples:
  python tools/backbone_table.py
  python tools/backbone_table.py --only osnet        # prints the table of these; the page stays as it is
"""


def main() -> int:
    """Run the matrix; 1 where a variant fails in a method."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help=f"default: {PAGE}")
    parser.add_argument("--only", default="", metavar="WORD", help="variants whose name has this word")
    args = parser.parse_args()
    sys.path.append(str(ROOT / "tests"))
    import vireid  # noqa: F401  isort: skip  (makes the toolkit importable)
    from backbone_matrix import METHODS, VARIANTS

    variants = [variant for variant in VARIANTS if args.only in str(variant)]
    pairs = [(variant, method) for variant in variants for method in METHODS]
    outcomes = {pair: outcome_of(*pair) for pair in tqdm(pairs, unit="run")}
    text = table(variants, list(METHODS), outcomes)
    if args.only:
        print(text)
    else:
        write_between_marks(args.page, text)
    failed = [
        f"{variant} in {method}" for (variant, method), found in outcomes.items() if isinstance(found, str)
    ]
    print(f"{len(outcomes)} runs, {len(failed)} failed {', '.join(failed)}".strip(), file=sys.stderr)
    return 1 if failed else 0


def outcome_of(variant: Any, method: str) -> Any:
    """The Outcome of a variant in a method, or why it fails."""
    from backbone_matrix import run

    mixed = {"SOLVER__AMP__ENABLED": True} if method == "PMCM" else {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            return run(variant, method, Path(folder), resume=False, **mixed)
        except Exception as error:  # whatever a backbone raises is what the table says
            return f"{type(error).__name__}: {' '.join(str(error).split())}"


def table(variants: list[Any], methods: list[str], outcomes: dict[tuple[Any, str], Any]) -> str:
    """Markdown: a row for each variant, a column for each method, and the reasons below.

    Args:
        outcomes: (variant, method) -> its Outcome, or why it fails.
    """
    reasons: list[str] = []
    lines = [
        f"| backbone | DEPTH | options | parameters | {' | '.join(methods)} | seconds |",
        f"| --- | --- | --- | --- | {' | '.join('---' for _ in methods)} | --- |",
    ]
    for variant in variants:
        cells, seconds, parameters = [], 0.0, 0
        for method in methods:
            outcome = outcomes[variant, method]
            fails = isinstance(outcome, str)
            reason = outcome if fails else outcome.refused
            if reason and reason not in reasons:
                reasons.append(reason)
            state = "FAILS" if fails else "refused"
            cells.append(f"{state} ({reasons.index(reason) + 1})" if reason else "pass")
            if not fails:
                seconds += outcome.seconds
                parameters = parameters or outcome.parameters
        options = ", ".join(option.removeprefix("WITH_") for option in variant.options)
        lines.append(
            f"| {variant.family} | {variant.depth} | {options} | {parameters / 1e6:.2f} M | "
            f"{' | '.join(cells)} | {seconds:.1f} |"
        )
    notes = "".join(f"{number}. {reason}\n" for number, reason in enumerate(reasons, start=1))
    return "\n".join(lines) + (f"\n\n{notes}" if notes else "\n")


def write_between_marks(page: Path, text: str) -> None:
    """Replace what stands between the marks of a page."""
    content = page.read_text()
    head, tail = content[: content.index(START)], content[content.index(END) :]
    page.write_text(f"{head}{START}\n{text}{tail}")


if __name__ == "__main__":
    sys.exit(main())
