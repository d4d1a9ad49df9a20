"""The seal behind a file: a SHA-256 of everything before it, so that a damaged file is refused before it is read."""

import hashlib
from typing import Final

_SEALED: Final = b"\nmmopt wrote this; SHA-256 of all before this line: "


def seal(content: bytes | memoryview) -> bytes:
    """Return what is to stand behind the content."""
    return _SEALED + hashlib.sha256(content).hexdigest().encode()


def check_seal(raw: bytes, sealed: bool) -> None:
    """Raise a `ValueError` if the seal is wrong, or missing where there must be one."""
    length = len(seal(b""))
    content, tail = memoryview(raw)[:-length], raw[-length:]
    if tail == seal(content) or (not sealed and _SEALED not in tail):
        return
    raise ValueError("its checksum is missing or wrong")
