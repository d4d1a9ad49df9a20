"""Values of any kind as JSON, and memories as bytes: numbers come back to the last bit, and nothing that is read is run."""

import base64
import json
import math
import zlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from mmopt.arguments import LARGEST_WHOLE, float_or_none, shown
from mmopt.control.plant import LateValue

_LONGEST: Final = 1_000
"""Characters of a text that are kept: a sensor sends no more."""

_LARGEST: Final = 64 * 2**20
"""Most bytes of a memory; that of a batch with 500 kept intervals has under 1 MB."""

_ARRAY, _SHAPE = "float64", "shape"
_LATE, _TAKEN, _NUMBER, _OTHER = "late", "taken", "number", "other"


def as_json(value: Any) -> Any:
    """Return one value of any kind as what JSON can contain.

    Parameters
    ----------
    value
        A number, NaN, None, a text, a `LateValue`, or anything else: of that, its description is kept.

    Returns
    -------
    object

    Examples
    --------
    >>> from mmopt.operation.encoding import as_json
    >>> as_json(float("nan")), as_json(LateValue(2.5, taken=1.0))
    ({'number': 'nan'}, {'late': 2.5, 'taken': 1.0})
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value[:_LONGEST].encode(errors="replace").decode()
    if isinstance(value, LateValue):
        return {_LATE: as_json(value.value), _TAKEN: float(value.taken)}
    if isinstance(value, int) and abs(value) <= LARGEST_WHOLE:
        return int(value)
    number = float_or_none(value) if isinstance(value, int | float | np.integer | np.floating) else None
    if number is None:
        return {_OTHER: shown(value)}
    return number if math.isfinite(number) else {_NUMBER: repr(number)}


def from_json(value: Any) -> Any:
    """Return the value that `as_json` wrote; what JSON could not contain comes back as its description.

    Parameters
    ----------
    value
        What JSON contains.

    Returns
    -------
    object

    Raises
    ------
    ValueError, TypeError, StudyError
        If it is nothing that `as_json` writes.

    Examples
    --------
    >>> from mmopt.operation.encoding import as_json, from_json
    >>> from_json(as_json(LateValue(2.5, taken=1.0))), from_json(as_json(np.float64(0.1)))
    (LateValue(value=2.5, taken=1.0), 0.1)
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case {"number": str(text)}:
            return float(text)
        case {"other": str(text)}:
            return text
        case {"late": late, "taken": taken}:
            return LateValue(from_json(late), taken)
    raise ValueError(f"{shown(value)} is no recorded value")


def values_as_json(values: Any) -> str:
    """Return values by name, as they arrived, as a JSON text.

    Parameters
    ----------
    values
        A mapping of names to values; anything else is kept as its description.

    Returns
    -------
    str

    Examples
    --------
    >>> from mmopt.operation.encoding import values_as_json
    >>> values_as_json({"biomass": 1.5, "glucose": None}), values_as_json("lost")
    ('{"biomass": 1.5, "glucose": null}', '["lost"]')
    """
    if isinstance(values, Mapping):
        own = {name if isinstance(name, str) else shown(name): as_json(value) for name, value in values.items()}
        return json.dumps(own, allow_nan=False)
    return json.dumps(None if values is None else [as_json(values)], allow_nan=False)


def values_from_json(text: str) -> Any:
    """Return the values that `values_as_json` wrote.

    Parameters
    ----------
    text
        The JSON text.

    Returns
    -------
    object

    Raises
    ------
    ValueError, TypeError, StudyError
        If the text is nothing that `values_as_json` writes.

    Examples
    --------
    >>> from mmopt.operation.encoding import values_from_json
    >>> values_from_json('{"biomass": {"number": "inf"}}')
    {'biomass': inf}
    """
    read = json.loads(text)
    if isinstance(read, dict):
        return {name: from_json(value) for name, value in read.items()}
    return None if read is None else from_json(read[0])


def packed(memory: Any) -> bytes:
    """Return a memory as bytes.

    Parameters
    ----------
    memory
        Numbers, texts, None and arrays of floats, in lists and mappings.

    Returns
    -------
    bytes

    Examples
    --------
    >>> from mmopt.operation.encoding import packed, unpacked
    >>> unpacked(packed({"mean": np.array([0.1, np.inf]), "time": 0.5}))
    {'mean': array([0.1, inf]), 'time': 0.5}
    """
    return zlib.compress(json.dumps(memory, default=_array_as_json).encode(), level=1)


def unpacked(raw: bytes) -> Any:
    """Return the memory that `packed` wrote.

    Parameters
    ----------
    raw
        The bytes.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If the bytes are no memory, or larger than any.
    """
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(raw, _LARGEST)
        if not stream.eof:
            raise ValueError("it is cut off, or too large")
        return json.loads(text, object_hook=_array_of)
    except (zlib.error, RecursionError, KeyError, TypeError) as error:
        raise ValueError(f"it is no memory of a supervisor: {error}") from error


def _array_as_json(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value, dtype="<f8")
        return {_ARRAY: base64.b64encode(array.tobytes()).decode(), _SHAPE: list(value.shape)}
    return value.item()  # a number of NumPy


def _array_of(entry: dict[str, Any]) -> Any:
    if entry.keys() != {_ARRAY, _SHAPE}:
        return entry
    return np.frombuffer(base64.b64decode(entry[_ARRAY]), dtype="<f8").reshape(entry[_SHAPE]).astype(float)
