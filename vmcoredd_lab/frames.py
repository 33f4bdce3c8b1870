"""Tables become DataFrames here, and only here: the one place below the user that imports pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vmcoredd_lab.tables import Codes, Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DTYPES", "to_frame"]

_NULLABLE = {"u64": "UInt64", "u32": "UInt32", "i64": "Int64", "i32": "Int32", "bool": "boolean"}
DTYPES = {
    **_NULLABLE,
    "text": "str",
    "category": "category",
    "datetime": "datetime64[ns, UTC]",
}  # by the kind of a column


def to_frame(table: Table, *, copy: bool = True) -> pd.DataFrame:
    """Return the table as a DataFrame: nullable integers (``UInt64``, ...), text, categories.

    With ``copy`` False the frame takes the table's arrays over; for a table that nothing else looks at.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    for column in table.schema.columns:
        values = table.columns[column.name]
        if column.kind in _NULLABLE:
            columns[column.name] = _integers(values, _NULLABLE[column.kind])
        elif column.kind == "datetime":
            columns[column.name] = _datetimes(values)
        elif isinstance(values, Codes) and column.kind == "category":
            columns[column.name] = pd.Categorical.from_codes(
                values.codes, categories=pd.Index(list(values.categories), dtype="object"), validate=False
            )
        elif column.kind == "category":
            columns[column.name] = pd.Categorical(values)
        else:
            columns[column.name] = _texts(values)
    frame = pd.DataFrame(columns, columns=table.schema.names, copy=copy)
    frame.attrs.update(table.attrs)
    return frame


def _texts(values: Any) -> Any:
    """Return texts as pandas holds them; where that is in Arrow's arrays, they are made without a detour."""
    import pandas as pd

    try:
        import pyarrow as pa
    except ImportError:
        pa = None
    if pa is None or getattr(pd.array([], dtype="str").dtype, "storage", "") != "pyarrow":
        return pd.array(values.texts() if isinstance(values, Codes) else list(values), dtype="str")
    if isinstance(values, Codes):
        codes = pa.array(values.codes, mask=values.codes < 0)
        return pd.array(
            pa.DictionaryArray.from_arrays(codes, pa.array(values.categories, pa.large_string())), dtype="str"
        )
    return pd.array(pa.array(values, pa.large_string()), dtype="str")


def _datetimes(values: Any) -> Any:
    """Return nanoseconds of the epoch as datetimes of UTC."""
    import pandas as pd

    moments = np.ma.getdata(values).astype("datetime64[ns]")
    moments[np.ma.getmaskarray(values)] = np.datetime64("NaT", "ns")
    return pd.DatetimeIndex(moments).tz_localize("UTC")


def _integers(values: Any, dtype: str) -> Any:
    import pandas as pd

    if isinstance(values, np.ma.MaskedArray):
        data = np.ascontiguousarray(values.data)
        mask = np.ascontiguousarray(np.ma.getmaskarray(values))
    elif isinstance(values, np.ndarray):
        data, mask = np.ascontiguousarray(values), np.zeros(len(values), bool)
    else:
        return pd.array(values, dtype=dtype)
    if dtype == "boolean":
        return pd.arrays.BooleanArray(data.astype(bool, copy=False), mask)
    native = data.astype(data.dtype.newbyteorder("="), copy=False).astype(dtype.lower(), copy=False)
    return pd.arrays.IntegerArray(native, mask)
