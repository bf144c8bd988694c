#!/usr/bin/env python
"""Train the rows of an ablation with several seeds on SynthVI, and tabulate what each is worth.

What is trained already is not trained again, and an interrupted training goes on where it stopped.
A run counts as trained where its whole config, the code (without comments and docstrings) and the data are
the same.
"""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vireid.ablation.runs import Versions

SYNTHVI = Path(__file__).resolve().parents[1] / "projects" / "SynthVI"
SUITES = SYNTHVI / "suites"
RECIPES = {"small": "synthvi-1.0-small", "full": "synthvi-1.0"}
EXAMPLE = """
examples:
  python tools/make_dataset.py --recipe synthvi-1.0-small --output synthvi/SYSU-MM01
  export FASTREID_DATASETS=synthvi
  choose settings on the validation identities:
    python tools/ablate.py --suite search --seeds 2 --search
  the ablation of PMCM on the test identities, three seeds:
    python tools/ablate.py --suite pmcm --seeds 3 --report
  only what is there, without training:
    python tools/ablate.py --suite pmcm --seeds 3 --report --no-training
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    suites = sorted(path.stem for path in SUITES.glob("*.yml"))
    parser.add_argument(
        "--suite", required=True, nargs="+", choices=suites, metavar="NAME", help=", ".join(suites)
    )
    parser.add_argument("--size", choices=sorted(RECIPES), default="small", help="default: small")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="seeds 0 to N - 1 (default: 3)")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="these rows of the suite alone")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--search", action="store_true", help="validation identities: for choosing (default)")
    what.add_argument("--report", action="store_true", help="test identities: for what was chosen")
    parser.add_argument(
        "--results", type=Path, metavar="DIR", help="records (default: projects/SynthVI/results)"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("logs/ablation"), metavar="DIR", help="logs, checkpoints"
    )
    parser.add_argument(
        "--code", metavar="HASH", help="show the runs of that version of the code; train nothing"
    )
    parser.add_argument("--no-training", action="store_true", help="show what is there")
    return parser


def main() -> int:
    """Train what is lacking, write and print the tables; the exit status."""
    args = build_parser().parse_args()
    import mcja
    import pmcm
    import vireid
    from vireid.ablation.fingerprint import code_version
    from vireid.ablation.runs import Versions
    from vireid.errors import UserError

    packages = [Path(str(package.__file__)).parent for package in (vireid, pmcm, mcja)]
    try:
        versions = Versions(code_version(packages), data_version(args.size))
        for name in args.suite:
            run_suite(args, name, versions)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 0


def run_suite(args: argparse.Namespace, name: str, versions: "Versions") -> None:
    """Train what a suite lacks; write and print its table."""
    from vireid.ablation.records import read_records
    from vireid.ablation.runs import complete, plan_runs, records_of
    from vireid.ablation.suites import load_suite
    from vireid.ablation.tables import caption, markdown_table, suite_table
    from vireid.engine import full_config

    suite = load_suite(SUITES / f"{name}.yml", f"synthvi/{args.size}_")
    rows = [suite.row(row) for row in args.rows] if args.rows else list(suite.rows)
    results = (args.results or SYNTHVI / "results") / args.size
    if not (args.no_training or args.code):
        runs = plan_runs(rows, args.seeds, full_config, versions)
        complete(runs, results, args.work, versions, Path(__file__).with_name("train_net.py"))
    code, subset = args.code or versions.code, "test" if args.report else "val"
    records = read_records(results)
    found = {row.name: records_of(row, args.seeds, full_config, records, code) for row in suite.rows}
    entries = suite_table(rows, found, subset)
    text = f"### {suite.title}\n\n{caption(subset, code)}\n\n{markdown_table(entries)}\n"
    folder = results / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}-{subset}.md").write_text(text)
    (folder / f"{name}-{subset}.json").write_text(
        json.dumps({"code": code, "rows": entries}, indent=1) + "\n"
    )
    print(text)


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
