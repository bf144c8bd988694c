"""Train the rows of an ablation with several seeds on SynthVI, and tabulate what each is worth.

What is trained already is not trained again, and an interrupted training goes on where it stopped.
A run counts as trained where its whole config, the code that trains and scores (without comments and
docstrings) and the data are the same. --search scores the validation identities alone, --report the test
identities alone. The last model of each run stays in --work, for scores of the other identities without
training again; delete the folder when nothing more is to be scored.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from synthvi.ablation.plots import write_plot
from synthvi.ablation.rows import plan_rows, records_of
from synthvi.ablation.run_records import read_defaults, read_records
from synthvi.ablation.suite_tables import WHO, suite_table, table_text, write_table
from synthvi.ablation.suites import Suite, SuiteRow, load_suite
from synthvi.ablation.tool import RESULTS, SUITES, exit_status, new_parser
from synthvi.ablation.training import Ablation
from synthvi.ablation.versions import RECIPES, Versions, code_version, data_version
from vireid.command_line import number_from
from vireid.errors import UserError

SUITE_NAMES = sorted(path.stem for path in SUITES.glob("*.yml"))
EXAMPLES = """
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
    """Build the command line."""
    parser = new_parser(__doc__, EXAMPLES)
    parser.add_argument(
        "--suite", required=True, nargs="+", choices=SUITE_NAMES, metavar="NAME", help=", ".join(SUITE_NAMES)
    )
    parser.add_argument("--size", choices=sorted(RECIPES), default="small", help="default: small")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="these rows of the suite alone")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--search", action="store_true", help="validation identities: for choosing (default)")
    what.add_argument("--report", action="store_true", help="test identities: for what was chosen")
    parser.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        metavar="DIR",
        help="records (default: projects/SynthVI/results)",
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
    """Add how many trainings there are of each row, at least ``fewest``, and how many at a time: by default
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
    return exit_status(lambda: train_and_tabulate(args))


def train_and_tabulate(args: argparse.Namespace) -> int:
    """See ``main``."""
    suites = [load_suite(SUITES / f"{name}.yml", f"synthvi/{args.size}_") for name in args.suite]
    for suite in suites:
        rows_of(suite, args.rows)  # a wrong name is found before anything is trained
    versions = Versions(code_version(), data_version(args.size))
    for suite in suites:
        table = run_suite(args, suite, versions)
        print(table_text(table))
        if args.figures:
            try:
                write_plot(table, args.figures / f"{suite.name}-{table['subset']}.{args.format}")
            except UserError as error:
                print(f"no picture: {error}", file=sys.stderr)
    return 0


def rows_of(suite: Suite, names: list[str] | None) -> list[SuiteRow]:
    """List the rows of a suite that have these names; all of them, if none is given.

    Raises:
        ConfigError: it has no row of such a name.
    """
    return [suite.row(name) for name in names] if names else list(suite.rows)


def run_suite(args: argparse.Namespace, suite: Suite, versions: Versions) -> dict[str, Any]:
    """Train and score what a suite lacks; write its table, and return what its JSON holds.

    Raises:
        UserError: see ``Ablation``; or there is no record to be shown.
    """
    rows = rows_of(suite, args.rows)
    results = args.results / args.size
    subset = "test" if args.report else "val"
    if not (args.no_training or args.code):
        ablation = Ablation(results, args.work, versions, args.processes)
        ablation.complete(plan_rows(rows, args.seeds, args.work, versions), subset)
    records, codes = read_records(results), args.code or [versions.code]
    known = {record.code for record in records}
    defaults = {code: read_defaults(results, code) for code in codes if code in known}
    compared = {row.against for row in rows if row.against}
    found = {
        row.name: records_of(row, args.seeds, records, defaults, versions.data, subset)
        for row in [*rows, *map(suite.row, compared)]
    }
    if not any(found[row.name] for row in rows):
        raise UserError(
            f"suite {suite.name} has no record on the {WHO[subset]} of code {', '.join(codes)} and data "
            f"{versions.data}; --code names other versions; without it and --no-training, rows are trained"
        )
    return write_table(results / "tables", suite, subset, suite_table(rows, found, subset))
