"""What an object is by its declared fields, for marks that say whether saved results are those of the same work."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np

from mmopt.fba.atlas import Atlas
from mmopt.fba.flux_program import FluxProgram
from mmopt.io.seal import digest
from mmopt.network.network import Network
from mmopt.parallel.threads import ObjectLock


def content_of(value: Any) -> Any:
    """Return the declared fields of an object and of those in it, without what they keep from earlier work.

    Parameters
    ----------
    value
        Any object, such as a `ControlledBatch` or a `Problem`.

    Returns
    -------
    object
        Tuples, lists and texts; the same in every process for the same fields.
    """
    if isinstance(value, Atlas):
        return "Atlas", value.program.digest
    if isinstance(value, FluxProgram):
        return value.digest
    if isinstance(value, Network):
        return "Network", value.hash
    if is_dataclass(value) and not isinstance(value, type):
        return type(value).__qualname__, [
            (known.name, content_of(getattr(value, known.name))) for known in fields(value)
        ]
    if isinstance(value, Mapping):
        return [(content_of(key), content_of(entry)) for key, entry in value.items()]
    if isinstance(value, tuple | list):
        return [content_of(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return value.shape, digest(value)
    if value is None or isinstance(value, str | int | float | np.number | Enum):
        return repr(value)
    if callable(value) and hasattr(value, "__qualname__"):
        return value.__module__, value.__qualname__
    own = {
        name: entry
        for name, entry in vars(value).items()
        if not isinstance(getattr(type(value), name, None), cached_property) and not isinstance(entry, ObjectLock)
    }
    return type(value).__qualname__, content_of(own)
