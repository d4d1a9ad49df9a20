"""A surrogate that learns where a plan goes: labels along a trajectory, and the fit gone on with."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.problem.problem import Problem
from mmopt.reactor.simulate import merged_parameters
from mmopt.results import Trajectory
from mmopt.surrogate.surrogate import Surrogate
from mmopt.training.train import train, training_table
from mmopt.training.worst_case_errors import worst_case_errors

_STEPS: Final = 40
"""Steps by which the fit is gone on with."""

_AROUND: Final = 4
"""FluxBatch around each point of the trajectory."""

_SPREAD: Final = 0.01
"""Their standard deviation, in parts of the width of the domain."""

_MOST: Final = 400
"""Most points of a trajectory that are learnt along."""


def uptake_limits(problem: Problem, made: Trajectory, domain: Domain) -> np.ndarray:
    """Uptake limits along a trajectory, inside the domain, shape (points, inputs) [mmol/gDW/h]."""
    numbers = merged_parameters(problem.system, problem.with_choices(made.stats.get("choice", {})).parameter_values)
    names = [each.name for each in problem.system.states]
    rows = zip(*(made[name].tolist() for name in names), strict=True)
    limits = [problem.system.limits(dict(zip(names, row, strict=True)), numbers) for row in rows]
    points = np.array([[each[exchange] for exchange in domain.inputs] for each in limits])
    few = np.linspace(0, len(points) - 1, min(_MOST, len(points))).astype(int)
    inside: np.ndarray = np.clip(points[few], domain.lower, domain.upper)
    return inside


def adapt_surrogate(surrogate: Surrogate, atlas: Atlas, points: np.ndarray, seed: int = 0) -> Surrogate:
    """Go on with the fit of a surrogate on labels of its domain and, around some points, more.

    Parameters
    ----------
    surrogate
        One that `train` or `learn` made.
    atlas
        The exact answer over its domain.
    points
        Uptake limits to be learnt, shape (points, inputs).
    seed
        Of the labels.

    Returns
    -------
    Surrogate
        With a new certificate, if the old one had one.

    Raises
    ------
    SurrogateError
        If the surrogate's card does not say how it was trained.
    """
    known = surrogate.card
    if not isinstance(known.get("hidden"), Sequence) or "basis" not in known:
        raise SurrogateError(
            "the surrogate's card does not say how it was trained, so its fit cannot be gone on with; train one"
        )
    width, random = atlas.domain.upper - atlas.domain.lower, np.random.default_rng(seed)
    cloud = points[:, None] + _SPREAD * width * random.normal(size=(len(points), _AROUND, len(width)))
    cloud[:, 0] = points
    near = np.clip(cloud.reshape(-1, len(width)), atlas.domain.lower, atlas.domain.upper)
    atlas.explore()
    atlas.extend(near)
    table = training_table(atlas, seed=seed)
    made = train(
        table.joined(near, atlas.batch(near)),
        hidden=tuple(known["hidden"]),
        activation=known["activation"],
        basis=known["basis"],
        iterations=_STEPS,
        seed=seed,
        start=surrogate,
        held_among=len(table),
    )
    if surrogate.error_report is None:
        return made
    return replace(made, card={**made.card, "certificate": worst_case_errors(made, atlas).as_dict()})
