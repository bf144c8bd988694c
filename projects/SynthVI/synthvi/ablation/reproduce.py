"""Train the main rows of SynthVI's small benchmark anew, and say whether they agree with the published table.

It generates synthvi-1.0-small where it is not there, and verifies its checksums. An interrupted run goes on:
the same command. The exit status is 0 where everything agrees, 1 where something does not.
"""

import argparse
import os
from pathlib import Path
from typing import Any

from synthvi.ablation import ablate
from synthvi.ablation.agreement import RULE, agreement_table, compare_tables
from synthvi.ablation.suite_tables import read_table, table_text
from synthvi.ablation.suites import load_suite
from synthvi.ablation.tool import RESULTS, SUITES, exit_status, new_parser
from synthvi.ablation.versions import RECIPES, Versions, code_version, data_version
from synthvi.benchmark import verify_benchmark, write_benchmark
from synthvi.checksums import FILE
from synthvi.recipe import find_recipe
from vireid.errors import UserError

SIZE = "small"


def build_parser() -> argparse.ArgumentParser:
    """Build the command line."""
    parser = new_parser(__doc__)
    parser.add_argument(
        "--datasets",
        type=Path,
        default=Path("synthvi"),
        metavar="DIR",
        help="where SYSU-MM01 of the benchmark is, or is generated (default: synthvi)",
    )
    parser.add_argument(
        "--suite", default="pmcm", choices=ablate.SUITE_NAMES, metavar="NAME", help="default: pmcm"
    )
    parser.add_argument(
        "--rows", nargs="+", default=["baseline", "PMCM"], metavar="NAME", help="default: baseline PMCM"
    )
    ablate.add_training_arguments(parser, processes=2, fewest=2)
    parser.add_argument(
        "--output", type=Path, default=Path("logs/benchmark"), metavar="DIR", help="default: logs/benchmark"
    )
    parser.add_argument(
        "--published",
        type=Path,
        metavar="TABLE.json",
        help="default: the suite's table of the test identities in projects/SynthVI/results",
    )
    return parser


def main() -> int:
    """Generate, train, score, compare; the exit status."""
    args = build_parser().parse_args()
    return exit_status(lambda: train_and_compare(args))


def train_and_compare(args: argparse.Namespace) -> int:
    """See ``main``."""
    suite = load_suite(SUITES / f"{args.suite}.yml", f"synthvi/{SIZE}_")
    published = read_table(args.published or RESULTS / SIZE / "tables" / f"{args.suite}-test.json")
    words = ["--suite", args.suite, "--size", SIZE, "--report", "--rows", *args.rows]
    words += ["--seeds", str(args.seeds), "--processes", str(args.processes)]
    words += ["--results", str(args.output / "results"), "--work", str(args.output / "work")]
    check_published(args.rows, published)
    prepare_data(args.datasets)
    os.environ["FASTREID_DATASETS"] = str(args.datasets)
    versions = Versions(code_version(), data_version(SIZE))
    ours = ablate.run_suite(ablate.build_parser().parse_args(words), suite, versions)
    compared = compare_tables(ours, published)
    print(f"{table_text(ours)}\n{agreement_table(compared)}\n\n{RULE}")
    apart = [c for c in compared if not c.agrees]
    print(f"{len(compared) - len(apart)} of {len(compared)} agree")
    return 1 if apart else 0


def check_published(rows: list[str], published: dict[str, Any]) -> None:
    """Refuse what could not be compared, before anything is trained.

    Raises:
        UserError: the table is of other identities; a row is not in it, or with one seed alone.
    """
    if published["subset"] != "test":
        raise UserError(f"{published['title']!r} is not of the test identities, on which this tool compares")
    seeds = {row["label"]: len(row["seeds"]) for row in published["rows"]}
    for row in rows:
        if seeds.get(row, 0) < 2:
            raise UserError(
                f"row {row!r} has {seeds.get(row, 0)} seeds in the published table {published['title']!r}; "
                "a comparison needs two or more"
            )


def prepare_data(datasets: Path) -> None:
    """Generate the benchmark where it is not there, and verify it where it is.

    Raises:
        UserError: the folder holds something else, or a file is altered.
    """
    recipe, folder = find_recipe(RECIPES[SIZE]), datasets / "SYSU-MM01"
    if (folder / FILE).is_file():
        verify_benchmark(folder)
        print(f"{folder}: every file is as in {FILE}")
    else:
        print(f"generating {recipe.name} in {folder}")
        write_benchmark(recipe, folder)
