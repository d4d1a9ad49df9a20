"""SHA-256 of contents, and the seal behind a file: what was changed or damaged is refused before it is read.

Every digest of mmopt is computed here, so that a content has one digest wherever it is stored.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

Content = str | bytes | memoryview | np.ndarray
"""What a digest covers: a text (as UTF-8), bytes, or the numbers of an array in C order."""

_SEALED: Final = b"\nmmopt wrote this; SHA-256 of all before this line: "


def digest(*contents: Content) -> str:
    """Compute the SHA-256 of contents, one after the other.

    Parameters
    ----------
    *contents
        Texts, bytes and arrays. Neither names nor shapes nor ends are covered: add them where they matter.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> digest("ab", b"c") == digest("abc")
    True
    >>> digest("abc")[:12]
    'ba7816bf8f01'
    """
    result = hashlib.sha256()
    for content in contents:
        if isinstance(content, np.ndarray):
            result.update(np.ascontiguousarray(content).ravel().view(np.uint8).data)
        else:
            result.update(content.encode() if isinstance(content, str) else content)
    return result.hexdigest()


def digest_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Compute the SHA-256 of named arrays: names, types, shapes and numbers, whatever their order and layout.

    Parameters
    ----------
    arrays
        Arrays by name.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> one, two = np.zeros(3), np.ones((2, 2))
    >>> digest_arrays({"a": one, "b": two}) == digest_arrays({"b": two.T, "a": one})
    True
    """
    contents: list[Content] = []
    for name in sorted(arrays):
        contents += [f"{name} {arrays[name].dtype.str} {arrays[name].shape}\n", arrays[name]]
    return digest(*contents)


def canonical_json(facts: Any) -> str:
    """Write facts as one JSON text, whatever the order of their names.

    Parameters
    ----------
    facts
        Anything that JSON can contain.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> canonical_json({"b": 1, "a": [2.5]})
    '{"a": [2.5], "b": 1}'
    """
    return json.dumps(facts, sort_keys=True)


def digest_facts(facts: Any) -> str:
    """Compute the SHA-256 of facts that JSON can contain, whatever the order of their names.

    Parameters
    ----------
    facts
        Anything that JSON can contain.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> digest_facts({"a": 1, "b": 2}) == digest_facts({"b": 2, "a": 1})
    True
    """
    return digest(canonical_json(facts))


def seal(content: bytes | memoryview) -> bytes:
    """Return the seal that is written behind a content.

    Parameters
    ----------
    content
        Everything before the seal.

    Returns
    -------
    bytes
        A line with the SHA-256.

    Examples
    --------
    >>> seal(b"abc")[-64:-52]
    b'ba7816bf8f01'
    """
    return _SEALED + digest(content).encode()


def check_seal(raw: bytes, sealed: bool) -> None:
    """Check the seal behind a content.

    Parameters
    ----------
    raw
        The content with its seal, if it has one.
    sealed
        Whether it must have one.

    Raises
    ------
    ValueError
        If the seal is wrong, or missing where there must be one.

    Examples
    --------
    >>> check_seal(b"abc" + seal(b"abc"), sealed=True)
    >>> check_seal(b"abd" + seal(b"abc"), sealed=True)
    Traceback (most recent call last):
    ValueError: its checksum is missing or wrong
    """
    length = len(seal(b""))
    content, tail = memoryview(raw)[:-length], raw[-length:]
    if tail == seal(content) or (not sealed and _SEALED not in tail):
        return
    raise ValueError("its checksum is missing or wrong")
