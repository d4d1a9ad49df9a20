"""Why a flux program has no solution, in a message that says what to change."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from mmopt.errors import InfeasibleError, MmoptError, NetworkError, SolverError
from mmopt.network.network import Network
from mmopt.network.variants import minimal_medium
from mmopt.solvers.highs import maximise
from mmopt.status import Status

_GROWS = 1.0e-9

_SALTS = 40
"""Open exchanges of a network whose medium is set: gases, water and salts."""


def why_unsolved(network: Network, inputs: Sequence[str], given: np.ndarray, status: Status) -> MmoptError:
    """Return the error for inputs without a solution: unbounded growth, forced reactions, or the solver itself.

    Parameters
    ----------
    network
        The metabolic network.
    inputs
        Names of the inputs.
    given
        Their values [mmol/gDW/h], shape (inputs,).
    status
        How the solver ended.

    Returns
    -------
    MmoptError
        The error to raise.
    """
    endless = tuple(name for name, value in zip(inputs, given, strict=True) if np.isposinf(value))
    feeding = _feeds_endless_growth(network, tuple(inputs), endless)
    if feeding is not None:
        taken = ", ".join(feeding[:5]) or "no uptake at all (some reaction is not balanced)"
        return NetworkError(
            f"growth of {network.name} (reaction {network.biomass}) is unbounded: it runs on {taken}, without a limit; "
            f"give one of them a finite uptake limit{_medium_for(network)}"
        )
    if status is not Status.INFEASIBLE:
        return SolverError(f"the flux program of {network.name} was not solved: {status.value}")
    forced = [
        reaction
        for reaction, low, high in zip(network.reactions, network.lower, network.upper, strict=True)
        if (low > 0.0 or high < 0.0) and reaction != network.maintenance and reaction not in inputs
    ]
    limits = ", ".join(f"{name} {value:g}" for name, value in zip(inputs, given, strict=True))
    return InfeasibleError(
        f"no fluxes of {network.name} keep the bounds at uptake limits {limits}: "
        f"{', '.join(forced[:3]) or 'some reactions'} must run; set those bounds to include 0"
    )


def _medium_for(network: Network) -> str:
    """What to do where exchanges are open by the dozen, as in drafts: a medium, and how to set it."""
    opened = [name for name in network.exchanges if np.isneginf(network.lower[network.column(name)])]
    fed = [name for name in opened if network.carbon.get(name, 0.0) > 0.0]
    if max(len(fed), len(opened) - _SALTS) <= 1:
        return ""
    try:
        medium = minimal_medium(network)
    except MmoptError:
        return f"; {len(opened)} exchanges are open without a limit: set a medium with set_medium"
    return (
        f"; {len(opened)} exchanges are open without a limit: set a medium, as in set_medium(network, {medium}), which "
        "minimal_medium(network) computes"
    )


@lru_cache(maxsize=8)
def _feeds_endless_growth(network: Network, inputs: tuple[str, ...], endless: tuple[str, ...]) -> list[str] | None:
    """Exchanges that feed unbounded growth, if it is unbounded: fluxes that only infinite bounds hold, scaled to 1.

    Of the inputs only those without a limit count, so that one answer serves all points of a domain.
    """
    lower, upper = network.lower.copy(), network.upper.copy()
    for name in inputs:
        if name in network.exchanges:
            lower[network.column(name)] = -np.inf if name in endless else 0.0
    gain = np.zeros(len(lower))
    gain[network.column(network.biomass)] = 1.0
    ray, status = maximise(
        network.stoichiometry, gain, np.where(np.isinf(lower), -1.0, 0.0), np.where(np.isinf(upper), 1.0, 0.0)
    )
    if not status.solved or gain @ ray <= _GROWS:
        return None
    taken = [name for name in network.exchanges if ray[network.column(name)] < -_GROWS]
    return sorted(taken, key=lambda name: (name not in inputs, network.carbon.get(name, 0.0) == 0.0))
