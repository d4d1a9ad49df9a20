"""Surrogate adaptation: the fit goes on with fluxes along a plan, so that the surrogate is best where the plan goes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.problem.simulator import Simulator
from mmopt.results import Trajectory
from mmopt.surrogate.layer import SmoothCell
from mmopt.surrogate.surrogate import Surrogate
from mmopt.training.added_points import training_table
from mmopt.training.train import train
from mmopt.training.worst_case_errors import with_error_report

_ITERATIONS: Final = 40
"""Iterations by which the fit goes on."""

_AROUND: Final = 4
"""Training points around each point of the trajectory."""

_SPREAD: Final = 0.01
"""Their standard deviation, as a fraction of the width of the domain."""

_MOST: Final = 400
"""Most points of a trajectory that are used."""


def uptake_limits_along(simulator: Simulator, trajectory: Trajectory) -> dict[str, np.ndarray]:
    """Compute the uptake limits that the cell meets along a trajectory.

    Parameters
    ----------
    simulator
        The problem, with everything fixed that was chosen.
    trajectory
        A trajectory of its system.

    Returns
    -------
    dict
        Uptake limits by exchange [mmol/gDW/h], shape (times,).
    """
    system, parameters = simulator.problem.system, simulator.parameters
    names = [state.name for state in system.states]
    rows = zip(*(trajectory[name].tolist() for name in names), strict=True)
    limits = [system.limits(dict(zip(names, row, strict=True)), parameters) for row in rows]
    return {exchange: np.array([row[exchange] for row in limits], dtype=float) for exchange in limits[0]}


def outside_domain(simulator: Simulator, trajectory: Trajectory) -> dict[str, float]:
    """Compute by how much uptake limits along a trajectory leave the domain of a surrogate.

    Parameters
    ----------
    simulator
        The problem with the surrogate of its cell.
    trajectory
        A trajectory of its system.

    Returns
    -------
    dict
        Largest amount by exchange [mmol/gDW/h]; empty if the domain is never left.
    """
    surrogate = simulator.metabolism
    if not isinstance(surrogate, SmoothCell) or not simulator.problem.system.readings:
        return {}
    amounts: dict[str, float] = {}
    for exchange, values in uptake_limits_along(simulator, trajectory).items():
        low, high = surrogate.domain.limits[exchange]
        amounts[exchange] = float(max(0.0, (low - values).max(), (values - high).max()))
    return {exchange: amount for exchange, amount in amounts.items() if amount > 0.0}


def adapted(surrogate: Surrogate, atlas: Atlas, limits: dict[str, np.ndarray], seed: int = 0) -> Surrogate:
    """Continue the fit of a surrogate on fluxes over its domain and around some points.

    Parameters
    ----------
    surrogate
        One that `mmopt.train` or `mmopt.train_to_error` computed.
    atlas
        The exact fluxes over its domain.
    limits
        Uptake limits by exchange [mmol/gDW/h], shape (points,), such as those along a plan.
    seed
        Of the random training points.

    Returns
    -------
    Surrogate
        With a new error report, if the old one had one.

    Raises
    ------
    SurrogateError
        If the surrogate's card does not hold how it was trained.
    """
    card = surrogate.card
    if not isinstance(card.get("hidden"), Sequence) or "basis" not in card:
        raise SurrogateError(
            "the surrogate's card does not hold how it was trained, so its fit cannot be continued; train one"
        )
    atlas.explore()
    near = _points_near(limits, atlas.domain, seed)
    atlas.extend(near)
    table = training_table(atlas, seed=seed)
    trained = train(
        table.extended(near, atlas.batch(near)),
        hidden=tuple(card["hidden"]),
        activation=card["activation"],
        basis=card["basis"],
        iterations=_ITERATIONS,
        seed=seed,
        start=surrogate,
        held_among=len(table),
    )
    return trained if surrogate.error_report is None else with_error_report(replace(trained), atlas)


def _points_near(limits: dict[str, np.ndarray], domain: Domain, seed: int) -> np.ndarray:
    """Points along a trajectory and random ones around each, inside the domain, shape (points, inputs)."""
    along = np.column_stack([limits[exchange] for exchange in domain.inputs])
    few = np.linspace(0, len(along) - 1, min(_MOST, len(along))).astype(int)
    points = np.clip(along[few], domain.lower, domain.upper)
    width, random = domain.upper - domain.lower, np.random.default_rng(seed)
    cloud = points[:, None] + _SPREAD * width * random.normal(size=(len(points), _AROUND, len(width)))
    cloud[:, 0] = points
    near: np.ndarray = np.clip(cloud.reshape(-1, len(width)), domain.lower, domain.upper)
    return near
