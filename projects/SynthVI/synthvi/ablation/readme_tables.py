"""Put the tables of SynthVI's results into the pages that show them.

A page says which table stands where:
    <!-- results: small/pmcm-test -->
    <!-- /results -->
"""

import re
from pathlib import Path

from synthvi.ablation.suite_tables import markdown_table, read_table
from synthvi.ablation.tool import PROJECT, RESULTS, exit_status, new_parser

PLACE = re.compile(r"(<!-- results: (\S+)/(\S+) -->\n).*?(<!-- /results -->)", re.DOTALL)


def main() -> int:
    """Fill the pages; the exit status."""
    parser = new_parser(__doc__)
    parser.add_argument("pages", type=Path, nargs="*", metavar="PAGE.md", help="default: projects/*/*.md")
    pages = parser.parse_args().pages or sorted(PROJECT.parent.glob("*/*.md"))
    return exit_status(lambda: fill(pages))


def fill(pages: list[Path]) -> int:
    """See ``main``."""
    for page in pages:
        page.write_text(PLACE.sub(filled, page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def filled(place: re.Match[str]) -> str:
    """Write the markers of a place with its table between them, without the rows that nobody trained."""
    start, size, name, end = place.groups()
    table = read_table(RESULTS / size / "tables" / f"{name}.json")
    return f"{start}{markdown_table([row for row in table['rows'] if row['seeds']])}\n{end}"
