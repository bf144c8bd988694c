"""Reading a CSV file whose first line names its columns."""

import csv
from collections.abc import Sequence
from os import PathLike

from vireid.errors import DatasetError

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_rows(
    path: str | PathLike[str], known: Sequence[str]
) -> tuple[list[str], list[tuple[str, dict[str, str]]]]:
    """Read a file in UTF-8, with commas between its values. Blank lines and spaces around values are left
    out.

    Args:
        known: names of columns, of which the file has at least one.

    Returns:
        The names of its columns; and of each row, where it is, such as "list.csv, line 3", and its values.

    Raises:
        DatasetError: it cannot be read; another separator, or names in capitals; a column twice; a row with
            more values than there are columns.
    """
    rows = []
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True)
            names = [name.strip() for name in next(reader, [])]
            _check_names(path, names, known)
            for values in reader:
                where = f"{path}, line {reader.line_num}"
                values = [value.strip() for value in values]
                if any(values[len(names) :]):
                    raise DatasetError(
                        f"{where}: it has {len(values)} values for {len(names)} columns; put quotes around "
                        "a value that has a comma"
                    )
                if any(values):
                    rows.append((where, dict(zip(names, [*values, *[""] * len(names)]))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DatasetError(f"{path} cannot be read as a CSV file: {reason}") from None
    return names, rows


def _check_names(path: str | PathLike[str], names: Sequence[str], known: Sequence[str]) -> None:
    told = f"{path}: its columns are {', '.join(names)}; expected {', '.join(known)}"
    for separator, what in SEPARATORS.items():
        if len(names) == 1 and separator in names[0]:
            raise DatasetError(f"{told}, separated by commas, not by {what}")
    if any(name not in known and name.lower() in known for name in names):
        raise DatasetError(f"{told}, in small letters")
    if len({*names}) < len(names):
        raise DatasetError(f"{told}, each once")
