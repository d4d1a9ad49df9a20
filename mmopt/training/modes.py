"""Flux vectors that a surrogate combines, and the weights of its errors.

Both follow from the tabulated fluxes alone. Flux modes are singular vectors, projected to balance to rounding. Conic
generators are fluxes at the edge of what the cell does: fluxes that balance and run nothing backwards form a cone, and so
do all non-negative combinations of some of them, whatever non-negative weights a surrogate computes. Errors are weighted by
what a reactor integrates: growth most, the exchanges next, the fluxes inside the cell least.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import scipy.sparse as sp
from scipy.optimize import nnls

from mmopt.errors import SurrogateError
from mmopt.fba.domain import Domain
from mmopt.network.balance import rebalanced
from mmopt.network.network import Network

_MODE_FLOOR: Final = 1.0e-7
"""Modes weaker than this, relative to the strongest, are the solver's rounding."""

_GROWTH, _EXCHANGE, _INSIDE = 5.0, 1.0, 0.3
"""Weights of errors, relative to the range of the quantity; all fluxes inside the cell together have one weight."""

_TRACE: Final = 0.03
"""The same of an exchange that is small over the whole domain."""

_MINOR_EXCHANGE: Final = 0.5
"""Exchanges whose range over the domain is smaller than this have the weight of a trace [mmol/gDW/h]."""

_CONSTANT: Final = 1.0e-6
"""A flux whose range over all points is smaller than this is constant [mmol/gDW/h]."""

_MET: Final = 1.0e-6
"""A flux this close to a limit, as a fraction of it, meets it."""

_NEGLIGIBLE_ERROR: Final = 3.0e-4
"""Directions of the weighted errors in which the fluxes vary less than this are left to the linear layer: with them a step of
the fit costs 1.4 times as much, and no error on the card changes in its second digit."""

_NEGLIGIBLE_INSIDE: Final = 1.0e-2
"""The same of the directions in which fluxes inside the cell vary, where the fit uses fluxes instead of modes."""

REPRESENTED: Final = 0.015
"""Largest distance of fluxes from the cone of the generators at which no more are chosen, in weighted errors. On iJO1366 over
glucose, oxygen and acetate that takes 17 to 22 of them. With 16 no rate was off by more than 0.6 % of its range, with 20
by 0.2 %."""

_MOST_GENERATORS: Final = 32

_CANDIDATES: Final = 1500
"""Points among which generators are chosen, beside those at the ends of every weighted error."""

_FLOORS: Final = (1.0e-10, 1.0e-9, 1.0e-8)
"""Fluxes that a generator may omit because they are the solver's rounding, tried one after the other."""

_NOTHING: Final = 1.0e-6
_RIDGE: Final = 1.0e-3
"""Penalty on the weights of the generators, beside the distance: where several combinations fit, the smallest one is used."""


def flux_modes(network: Network, fluxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute balanced flux vectors whose combinations give all fluxes.

    Parameters
    ----------
    network
        Gives S.
    fluxes
        Shape (points, reactions) [mmol/gDW/h].

    Returns
    -------
    modes, offset
        Shapes (modes, reactions) and (reactions,); both satisfy S v = 0 to rounding.
    """
    used = np.flatnonzero(np.any(fluxes != 0.0, axis=0))
    offset = fluxes[:, used].mean(axis=0)
    _, strength, directions = np.linalg.svd(fluxes[:, used] - offset, full_matrices=False)
    kept = directions[strength > _MODE_FLOOR * strength[0]]
    balanced = _balance_projection(network.stoichiometry[:, used])
    modes = np.zeros((len(kept), fluxes.shape[1]))
    modes[:, used] = kept @ balanced
    whole_offset = np.zeros(fluxes.shape[1])
    whole_offset[used] = offset @ balanced
    return modes, whole_offset


def rate_modes(network: Network, fluxes: np.ndarray) -> np.ndarray:
    """Return a unit vector for growth, for maintenance and for every exchange that is not constant.

    Parameters
    ----------
    network
        Gives the exchanges.
    fluxes
        Shape (points, reactions) [mmol/gDW/h].

    Returns
    -------
    ndarray
        Shape (modes, reactions); they do not balance.
    """
    columns = [network.column(network.biomass), *(network.column(name) for name in network.exchanges)]
    if network.maintenance is not None:
        columns.append(network.column(network.maintenance))
    moving = [column for column in dict.fromkeys(columns) if np.ptp(fluxes[:, column]) > _CONSTANT]
    modes: np.ndarray = np.eye(fluxes.shape[1])[moving]
    return modes


def _balance_projection(stoichiometry: sp.csc_array) -> np.ndarray:
    """The orthogonal projection onto {v: S v = 0}; it removes what the solver's tolerance left."""
    dense = stoichiometry.toarray()
    dense = dense[np.any(dense != 0.0, axis=1)]
    _, strength, rows = np.linalg.svd(dense)
    null = rows[np.sum(strength > 1.0e-10 * strength[0]) :]
    projection: np.ndarray = null.T @ null
    return projection


def conic_generators(
    network: Network, inputs: Sequence[str], fluxes: np.ndarray, counts: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, int]:
    """Choose fluxes that span the others by non-negative combinations, the one farthest from their cone next.

    A flux vector that cannot be balanced to rounding is no generator: the next farthest takes over.

    Parameters
    ----------
    network
        Gives S, and which reactions run one way.
    inputs
        Exchanges whose direction is for the limits to decide.
    fluxes
        Shape (points, reactions) [mmol/gDW/h].
    counts
        Turns fluxes into weighted errors, shape (reactions, errors); see `counted_directions`.
    seed
        Seed of the choice of candidates.

    Returns
    -------
    generators, dropped
        Shape (modes, reactions), of length 1 in weighted errors; and how many candidates could not be balanced.

    Raises
    ------
    SurrogateError
        If no flux vector can be balanced to rounding.
    """
    weighted = fluxes @ counts
    length = np.linalg.norm(weighted, axis=1)
    able = np.flatnonzero(length > _NOTHING * length.max())
    unit = weighted[able] / length[able, None]
    some = np.random.default_rng(seed).permutation(len(able))[:_CANDIDATES]
    indices = np.unique(np.concatenate([some, unit.argmax(axis=0), unit.argmin(axis=0), [length[able].argmax()]]))
    candidates = able[indices]
    one_way = _one_way(network, inputs)
    distance = np.where(np.isfinite(length[candidates]), np.inf, -np.inf)
    chosen: list[int] = []
    generators: list[np.ndarray] = []
    dropped, farthest = 0, int(length[candidates].argmax())
    while len(chosen) < _MOST_GENERATORS:
        if distance[farthest] <= REPRESENTED or int(candidates[farthest]) in chosen:
            break
        point = int(candidates[farthest])
        generator = _cleaned(network, fluxes[point] / length[point], one_way)
        if generator is None:
            dropped, distance[farthest] = dropped + 1, -np.inf
        else:
            chosen.append(point)
            generators.append(generator)
            span = (weighted[chosen] / length[chosen, None]).T
            for index in np.flatnonzero(distance > REPRESENTED):  # the distance only shrinks
                distance[index] = nnls(span, weighted[candidates[index]])[1]
        first = not chosen  # nothing has a distance yet: the longest that is left
        farthest = int(np.where(distance > 0.0, length[candidates], -1.0).argmax() if first else distance.argmax())
    if not generators:
        raise SurrogateError(
            f"none of {dropped} flux vectors could be balanced to rounding; tabulate the fluxes again, or train with "
            "basis='linear'"
        )
    return np.array(generators), dropped


def _one_way(network: Network, inputs: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Reactions that run forward only, and those that run backward only."""
    forward, backward = network.lower >= 0.0, network.upper <= 0.0
    limited = [network.column(name) for name in inputs if name in network.exchanges]
    forward[limited] = backward[limited] = False  # for the limits to decide
    return forward, backward


def _cleaned(network: Network, mode: np.ndarray, one_way: tuple[np.ndarray, np.ndarray]) -> np.ndarray | None:
    """Balance a mode to rounding, and remove what the solver's tolerance let run backwards; None where that fails."""
    stoichiometry, held = sp.csc_array(network.stoichiometry), int(np.abs(mode).argmax())
    mode = np.where(one_way[0], np.maximum(mode, 0.0), np.where(one_way[1], np.minimum(mode, 0.0), mode))
    for floor in _FLOORS:
        cleaned = rebalanced(stoichiometry, mode, held, floor)
        if cleaned is not None:
            return cleaned
    return None


def non_negative_weights(fluxes: np.ndarray, counts: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """Compute the non-negative weights of the generators that come closest to the fluxes.

    Parameters
    ----------
    fluxes
        Shape (points, reactions) [mmol/gDW/h].
    counts
        As in `conic_generators`.
    modes
        Generators, shape (modes, reactions).

    Returns
    -------
    ndarray
        Shape (points, modes).
    """
    span = np.vstack([(modes @ counts).T, _RIDGE * np.eye(len(modes))])
    none = np.zeros(len(modes))
    return np.array([nnls(span, np.concatenate([weighted, none]))[0] for weighted in fluxes @ counts])


def homogeneous(network: Network, domain: Domain, fluxes: np.ndarray) -> bool:
    """Return whether fluxes scale with uptake limits and maintenance demand: no other limit is met but zero.

    Parameters
    ----------
    network, domain
        The network, and the box of the inputs.
    fluxes
        Shape (points, reactions) [mmol/gDW/h].

    Returns
    -------
    bool
        True if fluxes are homogeneous of degree one.
    """
    others = np.ones(len(network.reactions), dtype=bool)
    others[[network.column(name) for name in domain.inputs if name in network.reactions]] = False
    if network.maintenance is not None:
        others[network.column(network.maintenance)] = False
    least, most = fluxes.min(axis=0), fluxes.max(axis=0)
    with np.errstate(invalid="ignore"):  # a limit that is infinite is never met
        meets_lower = (network.lower != 0.0) & (least <= network.lower + _MET * np.abs(network.lower))
        meets_upper = (network.upper != 0.0) & (most >= network.upper - _MET * np.abs(network.upper))
    held = (network.lower > 0.0) | (network.upper < 0.0)
    return not bool(np.any(others & (meets_lower | meets_upper | held)))


def error_weights(network: Network, domain: Domain, fluxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the weight of an error of every flux [1 / flux], and of growth, exchanges and maintenance alone.

    Parameters
    ----------
    network, domain
        The network, and the box of the inputs.
    fluxes
        Shape (points, reactions) [mmol/gDW/h].

    Returns
    -------
    weights, readings
        Shapes (reactions,); ``readings`` is zero inside the cell.
    """
    ranges = np.ptp(fluxes, axis=0)
    taken = [
        number for number, name in enumerate(domain.inputs) if name in network.exchanges
    ]  # others are linear limits
    inputs = [network.column(domain.inputs[number]) for number in taken]
    ranges[inputs] = np.minimum(ranges[inputs], (domain.upper - domain.lower)[taken])  # small beside the limit
    moving = ranges > _CONSTANT
    growth, main = network.column(network.biomass), list(inputs)
    if network.maintenance is not None:
        main.append(network.column(network.maintenance))
    exchanges = [network.column(name) for name in network.exchanges]
    main += [column for column in exchanges if ranges[column] > _MINOR_EXCHANGE]
    weight = np.zeros(len(ranges))
    weight[[column for column in {*main, growth} if moving[column]]] = _EXCHANGE
    weight[growth] *= _GROWTH
    inside = moving & (weight == 0.0)
    share = np.zeros(len(ranges))
    share[moving] = 1.0 / ranges[moving]
    weight[[column for column in exchanges if inside[column]]] = _TRACE
    readings = share * weight
    return readings + share * inside * _INSIDE / np.sqrt(max(1, inside.sum())), readings


def counted_errors(modes: np.ndarray, mode_weights: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute the matrix that turns errors in mode weights into few errors of equal importance.

    Parameters
    ----------
    modes
        Shape (modes, reactions).
    mode_weights
        Weights of the modes at the points, shape (points, modes).
    weights
        Weights of the errors, as `error_weights` returns them.

    Returns
    -------
    ndarray
        Shape (modes, errors).
    """
    errors = modes * weights
    moved = np.linalg.qr(mode_weights - mode_weights.mean(axis=0), mode="r")
    _, strength, directions = np.linalg.svd(moved @ errors, full_matrices=False)
    chosen: np.ndarray = errors @ directions[strength > _NEGLIGIBLE_ERROR * np.sqrt(len(mode_weights))].T
    return chosen


def counted_directions(fluxes: np.ndarray, weights: np.ndarray, readings: np.ndarray) -> np.ndarray:
    """Compute the matrix that turns errors in fluxes into few errors of equal importance.

    Every reading has a column of its own; fluxes inside the cell have columns for the directions in which they vary.

    Parameters
    ----------
    fluxes
        Shape (points, reactions) [mmol/gDW/h].
    weights, readings
        As `error_weights` returns them.

    Returns
    -------
    ndarray
        Shape (reactions, errors).
    """
    read = np.flatnonzero(readings)
    columns = np.zeros((len(weights), len(read)))
    columns[read, np.arange(len(read))] = readings[read]
    inside = np.where(readings == 0.0, weights, 0.0)
    moved = (fluxes - fluxes.mean(axis=0)) * inside
    used = np.flatnonzero(np.any(moved != 0.0, axis=0))
    _, strength, axes = np.linalg.svd(np.linalg.qr(moved[:, used], mode="r"), full_matrices=False)
    directions = np.zeros((len(weights), int(np.sum(strength > _NEGLIGIBLE_INSIDE * np.sqrt(len(fluxes))))))
    directions[used] = inside[used, None] * axes[: directions.shape[1]].T
    return np.hstack([columns, directions])
