"""Nutrients that run out where an input is zero: what growth then lacks, and which exchanges would provide it."""

from typing import Final

import numpy as np
import scipy.sparse as sp

from mmopt.fba.domain import Domain
from mmopt.network.network import Network
from mmopt.solvers.highs import maximise

_GROWS: Final = 1.0e-6
"""Growth [1/h], or flux [mmol/gDW/h], below which there is none."""

_MOST: Final = 1.0e3
_FRACTION: Final = 0.1
"""Growth that nutrients must allow, as a fraction of that with the input."""

_ROUNDS, _DEAR = 4, 1.0e-3
"""Rounds in which a nutrient becomes the dearer, the less of it is taken, so that few remain."""


def missing_nutrients(network: Network, domain: Domain, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what growth lacks where an input is zero and all others are at their highest.

    Parameters
    ----------
    network
        The metabolic network.
    domain
        The box of inputs.
    name
        The input that is zero.

    Returns
    -------
    missing, nutrients
        Metabolites of the biomass that cannot be made, and closed exchanges that let the cell grow again; both empty if
        it grows without the input, or the input is no exchange.

    Examples
    --------
    >>> core, box = read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 12.0), "EX_nh4_e": (0.0, 8.0)})
    >>> missing_nutrients(core, box, "EX_nh4_e")[0]
    ('accoa_c', 'atp_c', 'gln__L_c', 'glu__L_c', 'nad_c', 'nadph_c')
    """
    if name not in network.exchanges:
        return (), ()
    lower, upper = _bounds(network, domain)
    biomass, own = network.column(network.biomass), network.column(name)
    gain = np.zeros(len(lower))
    gain[biomass] = 1.0
    values, status = maximise(network.stoichiometry, gain, lower, upper)
    best = float(values[biomass]) if status.solved else 0.0
    lower[own] = 0.0
    values, status = maximise(network.stoichiometry, gain, lower, upper)
    if best <= _GROWS or (status.solved and float(values[biomass]) > _GROWS):
        return (), ()
    missing = tuple(
        network.metabolites[row]
        for row in network.stoichiometry[:, [biomass]].nonzero()[0]
        if network.stoichiometry[row, biomass] < 0.0 and not _makes(network, int(row), lower, upper)
    )
    return missing, _providing(network, name, _FRACTION * best, lower, upper)


def _bounds(network: Network, domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    """Finite bounds without a maintenance demand, with all inputs at their highest."""
    lower, upper = np.maximum(network.lower, -_MOST), np.minimum(network.upper, _MOST)
    if network.maintenance is not None:
        lower[network.column(network.maintenance)] = 0.0
    for name, (_, high) in domain.limits.items():
        if name in network.exchanges:
            lower[network.column(name)] = -high
    return lower, upper


def _makes(network: Network, row: int, lower: np.ndarray, upper: np.ndarray) -> bool:
    """Whether the cell can make a metabolite: a drain of it can run."""
    drain = sp.csc_array(([-1.0], ([row], [0])), shape=(network.stoichiometry.shape[0], 1))
    gain = np.append(np.zeros(len(lower)), 1.0)
    matrix = sp.csc_array(sp.hstack([network.stoichiometry, drain]))
    values, status = maximise(matrix, gain, np.append(lower, 0.0), np.append(upper, 1.0))
    return status.solved and float(values[-1]) > _GROWS


def _providing(network: Network, name: str, growth: float, lower: np.ndarray, upper: np.ndarray) -> tuple[str, ...]:
    """Few closed exchanges whose uptake lets the cell grow again."""
    names = [other for other in network.exchanges if other != name and lower[network.column(other)] >= 0.0]
    columns = [network.column(other) for other in names]
    least = lower.copy()
    least[network.column(network.biomass)] = growth
    matrix = sp.csc_array(sp.hstack([network.stoichiometry, -network.stoichiometry[:, columns]]))
    taken = np.zeros(len(columns))
    for _ in range(_ROUNDS):
        cost = np.concatenate([np.zeros(len(lower)), 1.0 / (taken + _DEAR)])
        values, status = maximise(
            matrix, -cost, np.append(least, np.zeros(len(columns))), np.append(upper, np.full(len(columns), _MOST))
        )
        if not status.solved:
            return ()
        taken = values[len(lower) :]
    return tuple(other for other, flux in zip(names, taken.tolist(), strict=True) if flux > _GROWS)
