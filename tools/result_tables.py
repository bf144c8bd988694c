#!/usr/bin/env python
"""Put the tables of SynthVI's results into the pages that show them.

A page says which table stands where:
    <!-- results: small/pmcm-test -->
    <!-- /results -->
"""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "projects" / "SynthVI" / "results"
PAGES = sorted((ROOT / "projects").glob("*/README.md"))
PLACE = re.compile(r"(<!-- results: (\S+)/(\S+) -->\n).*?(<!-- /results -->)", re.DOTALL)


def main() -> int:
    """Fill the pages; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "pages", type=Path, nargs="*", metavar="PAGE.md", help="default: projects/*/README.md"
    )
    pages = parser.parse_args().pages or PAGES
    from vireid.errors import UserError

    try:
        for page in pages:
            text = page.read_text(encoding="utf-8")
            page.write_text(PLACE.sub(filled, text), encoding="utf-8")
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def filled(place: re.Match[str]) -> str:
    """The markers of a place with its table between them, without the rows that nobody trained."""
    from vireid.ablation.tables import markdown_table, read_table

    start, size, name, end = place.groups()
    table = read_table(RESULTS / size / "tables" / f"{name}.json")
    return f"{start}{markdown_table([row for row in table['rows'] if row['seeds']])}\n{end}"


if __name__ == "__main__":
    sys.exit(main())
