#!/usr/bin/env python
"""Train the rows of an ablation with several seeds on SynthVI, and tabulate what each is worth.

What is trained already is not trained again, and an interrupted training goes on where it stopped.
A run counts as trained where its whole config, the code that trains and scores (without comments and
docstrings) and the data are the same. --search scores the validation identities alone, --report the test
identities alone. The last model of each run stays in --work, for scores of the other identities without
training again; delete the folder when nothing more is to be scored.
"""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vireid.command_line import number_from

if TYPE_CHECKING:
    from vireid.ablation.runs import Versions
    from vireid.ablation.suites import Row, Suite

SYNTHVI = Path(__file__).resolve().parents[1] / "projects" / "SynthVI"
SUITES = SYNTHVI / "suites"
SUITE_NAMES = sorted(path.stem for path in SUITES.glob("*.yml"))
RECIPES = {"small": "synthvi-1.0-small", "full": "synthvi-1.0"}
EXAMPLE = """
examples:
  vireid data make --recipe synthvi-1.0-small --output synthvi/SYSU-MM01
  export FASTREID_DATASETS=synthvi
  choose settings on the validation identities:
    python tools/ablate.py --suite search --seeds 2 --search
  the ablation of PMCM on the test identities, three seeds:
    python tools/ablate.py --suite pmcm --seeds 3 --report
  pictures of what is there, without training:
    python tools/ablate.py --suite pmcm --seeds 5 --report --no-training --figures pictures
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--suite", required=True, nargs="+", choices=SUITE_NAMES, metavar="NAME", help=", ".join(SUITE_NAMES)
    )
    parser.add_argument("--size", choices=sorted(RECIPES), default="small", help="default: small")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="these rows of the suite alone")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--search", action="store_true", help="validation identities: for choosing (default)")
    what.add_argument("--report", action="store_true", help="test identities: for what was chosen")
    parser.add_argument(
        "--results", type=Path, metavar="DIR", help="records (default: projects/SynthVI/results)"
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("logs/ablation"),
        metavar="DIR",
        help="checkpoints; of a finished run its last model (default: logs/ablation)",
    )
    add_training_arguments(parser, processes=1)
    parser.add_argument(
        "--code", nargs="+", metavar="HASH", help="show runs of these versions of the code; train nothing"
    )
    parser.add_argument("--figures", type=Path, metavar="DIR", help="also draw a picture of each table")
    parser.add_argument("--format", choices=("png", "svg", "pdf"), default="png", help="of pictures: png")
    parser.add_argument("--no-training", action="store_true", help="show what is there")
    return parser


def add_training_arguments(parser: argparse.ArgumentParser, processes: int, fewest: int = 1) -> None:
    """How many trainings there are of each row, at least ``fewest``, and how many at a time: by default
    ``processes``."""
    parser.add_argument(
        "--seeds", type=number_from(fewest), default=3, metavar="N", help="0 to N - 1 (default: 3)"
    )
    parser.add_argument(
        "--processes",
        type=number_from(1),
        default=processes,
        metavar="N",
        help=f"trainings at a time (default: {processes})",
    )


def main() -> int:
    """Train what is lacking, write and print the tables; the exit status."""
    args = build_parser().parse_args()
    from vireid.ablation.fingerprint import code_version
    from vireid.ablation.runs import Versions
    from vireid.ablation.suites import load_suite
    from vireid.ablation.tables import table_text
    from vireid.errors import UserError

    try:
        suites = [load_suite(SUITES / f"{name}.yml", f"synthvi/{args.size}_") for name in args.suite]
        for suite in suites:
            rows_of(suite, args.rows)  # a wrong name is found before anything is trained
        versions = Versions(code_version(), data_version(args.size))
        for suite in suites:
            table = run_suite(args, suite, versions)
            print(table_text(table))
            if args.figures:
                draw(table, args.figures / f"{suite.name}-{table['subset']}.{args.format}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 0


def rows_of(suite: "Suite", names: list[str] | None) -> list["Row"]:
    """The rows of a suite that have these names; all of them, if none is given.

    Raises:
        ConfigError: it has no row of such a name.
    """
    return [suite.row(name) for name in names] if names else list(suite.rows)


def run_suite(args: argparse.Namespace, suite: "Suite", versions: "Versions") -> dict:
    """Train and score what a suite lacks; write its table, and return what its JSON holds.

    Raises:
        UserError: see ``Training``; or there is no record to be shown.
    """
    from vireid.ablation.records import read_records
    from vireid.ablation.runs import plan_runs, records_of
    from vireid.ablation.tables import WHO, suite_table, write_table
    from vireid.ablation.training import Training
    from vireid.engine import full_config
    from vireid.errors import UserError

    rows = rows_of(suite, args.rows)
    results = (args.results or SYNTHVI / "results") / args.size
    subset = "test" if args.report else "val"
    if not (args.no_training or args.code):
        train_net = Path(__file__).with_name("train_net.py")
        training = Training(results, args.work, versions, train_net, args.processes)
        training.complete(plan_runs(rows, args.seeds, full_config, versions), subset)
    records, codes = read_records(results), args.code or [versions.code]
    compared = {row.against for row in rows if row.against}
    found = {
        row.name: records_of(row, args.seeds, full_config, records, codes, versions.data, subset)
        for row in [*rows, *map(suite.row, compared)]
    }
    if not any(found[row.name] for row in rows):
        raise UserError(
            f"suite {suite.name} has no record on the {WHO[subset]} of code {', '.join(codes)} and data "
            f"{versions.data}; --code names other versions; without it and --no-training, rows are trained"
        )
    return write_table(results / "tables", suite, subset, suite_table(rows, found, subset))


def draw(table: dict, path: Path) -> None:
    """Draw a table; say so where there is nothing to draw."""
    from vireid.errors import UserError
    from vireid.visualize.ablation import ablation_figure
    from vireid.visualize.style import check_figure_path, save

    try:
        figure, shown = ablation_figure(table)
    except UserError as error:
        print(f"no picture: {error}", file=sys.stderr)
        return
    save(figure, check_figure_path(path))
    print(f"{path}: {shown}")


def data_version(size: str) -> str:
    """The digest of the dataset under $FASTREID_DATASETS; says so where it is not the published one.

    Raises:
        DatasetError: there is no dataset with checksums.
    """
    from synthvi.checksums import FILE, digest_of
    from synthvi.recipe import find_recipe

    recipe = find_recipe(RECIPES[size])
    folder = Path(os.environ.get("FASTREID_DATASETS", "datasets")) / "SYSU-MM01"
    found = digest_of(folder)
    if found != recipe.digest:
        print(
            f"{folder / FILE} is not that of {recipe.name}: figures may differ from published ones",
            file=sys.stderr,
        )
    return found


if __name__ == "__main__":
    sys.exit(main())
