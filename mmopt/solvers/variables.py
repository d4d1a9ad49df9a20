"""Variables of Pyomo as arrays: their bounds and their values."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def bounds_of(variables: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of variables.

    Parameters
    ----------
    variables
        Variables of Pyomo.

    Returns
    -------
    lower, upper
        Infinite where there is none.
    """
    lower = np.array([-np.inf if variable.lb is None else variable.lb for variable in variables])
    return lower, np.array([np.inf if variable.ub is None else variable.ub for variable in variables])


def values_of(variables: Sequence[Any]) -> np.ndarray:
    """Return the values of variables.

    Parameters
    ----------
    variables
        Variables of Pyomo.

    Returns
    -------
    numpy.ndarray
        Zero where there is none.
    """
    return np.array([0.0 if variable.value is None else variable.value for variable in variables])


def set_values(variables: Sequence[Any], values: np.ndarray) -> None:
    """Set the values of variables.

    Parameters
    ----------
    variables, values
        Variables of Pyomo, and their values.
    """
    for variable, value in zip(variables, values.tolist(), strict=True):
        variable.set_value(value, skip_validation=True)
