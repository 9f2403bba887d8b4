"""CSV files whose values stay the text that they are."""

import io
import warnings
from pathlib import Path

import pandas as pd

from podium.errors import UserError

ERRORS = (
    pd.errors.ParserError,
    pd.errors.ParserWarning,
    pd.errors.EmptyDataError,
    UnicodeDecodeError,
)


def parse(data: bytes) -> pd.DataFrame:
    """A CSV as text: ids keep leading zeros, a class may be called "NA": [rows, columns].

    Raises:
        The `ERRORS` of pandas, if it is no CSV in UTF-8 whose rows have the header's columns.
    """
    with warnings.catch_warnings():  # values beyond the header would be dropped with a warning
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            io.BytesIO(data),
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            index_col=False,
        )


def read(path: Path) -> pd.DataFrame:
    """A CSV file as text: [rows, columns].

    Raises:
        UserError: if it is not there or cannot be parsed.
    """
    try:
        return parse(path.read_bytes())
    except (OSError, *ERRORS) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
