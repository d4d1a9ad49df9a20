"""Errors of a surrogate at given points against the flux program, and the balance of its fluxes."""

from typing import Any

import numpy as np

from mmopt.fba.rates import GROWTH
from mmopt.network.network import Network
from mmopt.surrogate.soft_law import SoftLaw
from mmopt.surrogate.surrogate import Surrogate
from mmopt.units import GROWTH_UNIT, RATE


def compare(surrogate: Surrogate | SoftLaw, network: Network, limits: np.ndarray, fluxes: np.ndarray) -> dict[str, Any]:
    """Compute the errors of growth and of every exchange that is not constant, against tabulated fluxes.

    Parameters
    ----------
    surrogate
        The surrogate.
    network
        The network of the fluxes.
    limits
        Uptake limits [mmol/gDW/h], shape (points, inputs).
    fluxes
        Shape (points, reactions) [mmol/gDW/h].

    Returns
    -------
    dict
        By name: ``worst`` and ``mean`` absolute error, ``range`` of the fluxes, ``r2``, and ``unit``.
    """
    moving = [name for name in network.exchanges if np.ptp(fluxes[:, network.column(name)]) > 1.0e-2]
    if network.maintenance is not None:
        moving.append(network.maintenance)
    names = [GROWTH, *moving]
    predicted = surrogate.predict(limits, names)
    columns = [network.column(network.biomass), *(network.column(name) for name in moving)]
    return {
        name: _errors(fluxes[:, column], predicted[:, k], GROWTH_UNIT if name == GROWTH else RATE)
        for k, (name, column) in enumerate(zip(names, columns, strict=True))
    }


def balance_error(surrogate: Surrogate, network: Network, limits: np.ndarray) -> float:
    """Compute the largest imbalance of a metabolite, max |S v|, relative to the largest flux.

    Parameters
    ----------
    surrogate
        The surrogate.
    network
        The network, which gives S.
    limits
        Uptake limits [mmol/gDW/h], shape (points, inputs).

    Returns
    -------
    float
        The largest over all points.
    """
    fluxes = surrogate.predict(limits)
    imbalance = np.abs(network.stoichiometry @ fluxes.T).max(axis=0)
    return float(np.max(imbalance / np.abs(fluxes).max(axis=1)))


def _errors(true: np.ndarray, predicted: np.ndarray, unit: str) -> dict[str, Any]:
    error = np.abs(predicted - true)
    return {
        "worst": float(error.max()),
        "mean": float(error.mean()),
        "range": float(np.ptp(true)),
        "r2": float(1.0 - np.sum(error**2) / np.sum((true - true.mean()) ** 2)),
        "unit": unit,
    }
