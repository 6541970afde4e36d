"""Columns of text files."""

from os import PathLike
from typing import Any, Literal

def read_columns(
    path: str | PathLike[str], kinds: str, *, separator: Literal[" ", ","] = " ", header: bool = False
) -> list[Any]:
    """Read the columns of a text file, one value of each in every line.

    `kinds` has a letter a column: i int32 [lines], b bool [lines] of labels 0 and 1, f float64 [lines], t a list of
    texts; `*` at the end passes over any number of columns more. `separator` is any run of blanks, or one comma;
    `header` passes over the first line. Raises DataError, naming line and column, for anything else; ConfigError for
    other kinds or separators.
    """
