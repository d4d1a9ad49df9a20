"""Extreme answers: the non-negative flux modes whose non-negative combinations are all labels.

The fluxes that balance and run nothing backwards form a cone, and so do all non-negative combinations of some of them. A few
labels at the edge of what the cell does, each scaled to one size, span nearly all the others. Whatever weights a
surrogate gives them, as long as none is negative, its fluxes balance and every split flux is non-negative.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import scipy.sparse as sp
from scipy.optimize import nnls

from mmopt.errors import SurrogateError
from mmopt.network.balance import rebalanced
from mmopt.network.network import Network

REPRESENTED: Final = 0.015
"""Largest distance of a label from the cone of the chosen ones at which no more are chosen, in errors that count alike. On
iJO1366 over glucose, oxygen and acetate that takes 17 to 22 of them. With 16 no rate was off by more than 0.6 % of its
range, with 20 by 0.2 %."""

MOST: Final = 32
"""Most extreme answers."""

_CANDIDATES: Final = 1500
"""FluxBatch among which they are sought, beside those at the ends of each counted error."""

_FLOORS: Final = (1.0e-10, 1.0e-9, 1.0e-8)
"""Fluxes that may be left out of a mode because they are the solver's rounding, tried one after the other."""

_NOTHING: Final = 1.0e-6
_RIDGE: Final = 1.0e-3
"""Price of the weights of a label, beside its distance: where several combinations give it, the smallest one is wanted."""


def extreme_answers(
    network: Network, inputs: Sequence[str], fluxes: np.ndarray, counts: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Choose the labels that span the others, the one farthest from their cone next.

    Parameters
    ----------
    network
        Gives S, and which reactions run one way.
    inputs
        Exchanges whose direction is for the limits to say.
    fluxes
        FluxBatch, shape (labels, reactions) [mmol/gDW/h].
    counts
        Turns fluxes into errors that count alike, shape (reactions, counted).
    seed
        Of the labels that are candidates.

    Returns
    -------
    ndarray
        Shape (modes, reactions), each of length 1 in what is counted.
    """
    told = fluxes @ counts
    length = np.linalg.norm(told, axis=1)
    able = np.flatnonzero(length > _NOTHING * length.max())
    unit = told[able] / length[able, None]
    some = np.random.default_rng(seed).permutation(len(able))[:_CANDIDATES]
    places = np.unique(np.concatenate([some, unit.argmax(axis=0), unit.argmin(axis=0), [length[able].argmax()]]))
    candidates = able[places]
    chosen = [int(candidates[length[candidates].argmax()])]
    left = np.full(len(candidates), np.inf)
    while len(chosen) < MOST:
        span = (told[chosen] / length[chosen, None]).T
        for place in np.flatnonzero(left > REPRESENTED):  # the distance only shrinks
            left[place] = nnls(span, told[candidates[place]])[1]
        farthest = int(left.argmax())
        if left[farthest] <= REPRESENTED or int(candidates[farthest]) in chosen:
            break
        chosen.append(int(candidates[farthest]))
    forward, backward = network.lower >= 0.0, network.upper <= 0.0
    for exchange in inputs:
        forward[network.column(exchange)] = backward[network.column(exchange)] = False  # for the limits to say
    return np.array([_cleaned(network, fluxes[place] / length[place], (forward, backward)) for place in chosen])


def _cleaned(network: Network, mode: np.ndarray, one_way: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Balance a mode to rounding, and take off what the solver's tolerance let run backwards."""
    stoichiometry, held = sp.csc_array(network.stoichiometry), int(np.abs(mode).argmax())
    mode = np.where(one_way[0], np.maximum(mode, 0.0), np.where(one_way[1], np.minimum(mode, 0.0), mode))
    for floor in _FLOORS:
        cleaned = rebalanced(stoichiometry, mode, held, floor)
        if cleaned is not None:
            return cleaned
    raise SurrogateError("a label could not be balanced to rounding; sample again, or train with basis='linear'")


def combined(fluxes: np.ndarray, counts: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """Non-negative weights of the modes that come closest to each label, shape (labels, modes)."""
    span = np.vstack([(modes @ counts).T, _RIDGE * np.eye(len(modes))])
    none = np.zeros(len(modes))
    return np.array([nnls(span, np.concatenate([label, none]))[0] for label in fluxes @ counts])
