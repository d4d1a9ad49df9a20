"""Initial guesses: simulated controls that keep the limits.

The initial guess decides convergence more than any option of a solver: from a feed that overloads the aeration most solves
fail, from one that keeps the limits they take some twenty iterations.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from mmopt.problem.control import LINES
from mmopt.problem.limits import Limits, violated_limits
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.reactor.profiles import ConstantFeed, LinearFeed, Profile, StepFeed
from mmopt.results import Trajectory
from mmopt.simulation.simulate import TOLERANCE

SHAPES: Final = (
    lambda fraction: np.full_like(fraction, 0.5),
    lambda fraction: fraction,
    lambda fraction: 1.0 - fraction,
    lambda fraction: np.full_like(fraction, 0.1),
    lambda fraction: np.where(fraction < 0.5, 0.6, 0.05),
    lambda fraction: np.where(fraction < 0.5, 0.05, 0.6),
    lambda fraction: np.exp(4.0 * (fraction - 1.0)),
)
"""From the fraction of the horizon to that of a control's range: middle, rising, falling, low, early, late, exponential."""

_CUT: Final = 0.5

_MOST_CUTS: Final = 8

_CUTS: Final = (*(_CUT**power for power in range(_MOST_CUTS)), 0.0)

_REGROWTH: Final = 1.4
"""An element tries at first this much more than the element before kept."""

_LOOK_AHEAD: Final = 4

NEGLIGIBLE: Final = 1.0e-4
"""Fraction of a limit by which an initial guess may violate it: a plan that lies on its limits is a guess, too."""

_POINTS, _FINE_POINTS = 15, 60

_TOLERANCE: Final = 1.0e-4
"""Tolerance of a simulation that only gives a guess."""


@dataclass(frozen=True, eq=False)
class Guess:
    """A simulation to start from.

    Attributes
    ----------
    trajectory
        The simulation.
    kept
        Fraction of the wanted controls that is left on average after lowering them.
    """

    trajectory: Trajectory
    kept: float


def guessed_controls(problem: Problem, count: int, seed: int = 0) -> Iterator[Mapping[str, Profile]]:
    """Yield profiles of all controls to guess from: some shapes first, then random steps.

    Parameters
    ----------
    problem
        The problem.
    count
        How many.
    seed
        Of the random steps.

    Returns
    -------
    iterator of mappings
        Profile of every control, ``count`` times.
    """
    edges = problem.horizon.edges()
    fraction = (edges[:-1] + edges[1:]) / 2.0 / edges[-1]
    random = np.random.default_rng(seed)
    for k in range(count):
        levels = {
            name: SHAPES[k](fraction) if k < len(SHAPES) else random.random(len(fraction)) for name in problem.controls
        }
        yield {
            name: StepFeed(
                tuple(edges.tolist()), tuple((control.low + levels[name] * (control.high - control.low)).tolist())
            )
            for name, control in problem.controls.items()
        }


def feasible_guess(
    simulator: Simulator, wanted: Mapping[str, Profile] | None = None, *, stop: Callable[[], bool] | None = None
) -> Guess:
    """Simulate wanted controls, lowered element by element until the limits are kept.

    Controls that are given and keep them stay as they are. Else an element's controls are lowered towards their lowest values
    until, with the lowest ones after it, no limit is violated for some elements: what is fed too early shows later. If the
    whole still violates one, the same is done once more with the whole rest of the horizon.

    Parameters
    ----------
    simulator
        The problem with the metabolism of its cell.
    wanted
        Profiles of the controls; by default the middle of each range.
    stop
        Whether to come to an end, as at a deadline; the elements that are left then have the lowest controls.

    Returns
    -------
    Guess
        The simulation, which violates limits where even the lowest controls do.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, 2), {"feed": (0.0, 0.1)}, {"volume": (None, 2.1)})
    >>> from mmopt.search.initial_guess import feasible_guess
    >>> from mmopt.problem.simulator import Simulator
    >>> guess = feasible_guess(Simulator(problem, load_surrogate("ecoli_ijo1366")))
    >>> round(guess.trajectory.final("volume"), 6)
    2.1
    """
    problem = simulator.problem
    given = wanted or {
        name: ConstantFeed((control.low + control.high) / 2.0) for name, control in problem.controls.items()
    }
    levels = step_levels(problem, given)
    if wanted and keeps_limits(problem, whole := simulated_steps(simulator, levels)):
        return Guess(whole, 1.0)
    for ahead in (_LOOK_AHEAD, problem.horizon.elements):
        controls, kept = _lowered(simulator, levels, ahead, stop or never)
        whole = simulated_steps(simulator, controls)
        if keeps_limits(problem, whole) or (stop or never)():
            break
    return Guess(whole, kept)


def keeps_limits(problem: Problem, trajectory: Trajectory, final: Limits | None = None) -> bool:
    """Return whether a trajectory keeps a problem's limits, but for a negligible amount.

    Parameters
    ----------
    problem
        The problem.
    trajectory
        A trajectory of its system.
    final
        Limits at the end that count, too.

    Returns
    -------
    bool
    """
    scales = {name: problem.quantities[name].scale for name in (*problem.limits, *(final or {}))}
    return max(violated_limits(trajectory, problem.limits, final, scales).values(), default=0.0) <= NEGLIGIBLE


def moves_allowed(problem: Problem, trajectory: Trajectory) -> bool:
    """Return whether the controls of a trajectory keep the limits of their rate of change.

    Parameters
    ----------
    problem
        A problem.
    trajectory
        A trajectory of its system with controls on its mesh.

    Returns
    -------
    bool
    """
    edges = problem.horizon.edges()
    middles = (edges[:-1] + edges[1:]) / 2.0
    for name, control in problem.controls.items():
        if control.rate_limit is not None:
            times = edges if control.shape == LINES else middles
            rates = np.abs(np.diff(trajectory.at(name, times))) / np.diff(times)
            if np.any(rates > control.rate_limit * (1.0 + NEGLIGIBLE)):
                return False
    return True


def step_levels(problem: Problem, profiles: Mapping[str, Profile]) -> dict[str, np.ndarray]:
    """Return the value of every profile in the middle of each element, inside the control's range and windows.

    Parameters
    ----------
    problem
        A problem.
    profiles
        Profile of every control.

    Returns
    -------
    dict
        By control, shape (elements,).
    """
    return {name: _on_elements(problem, name, profile) for name, profile in profiles.items()}


def simulated_steps(simulator: Simulator, levels: Mapping[str, np.ndarray], fine: bool = False) -> Trajectory:
    """Simulate levels on a problem's mesh over the whole horizon, in the shape of each control.

    A control of lines has the lower of two levels at the edge between them.

    Parameters
    ----------
    simulator
        The problem with the metabolism of its cell.
    levels
        Values of the controls, shape (elements,).
    fine
        Whether the result is to show what happens within seconds of a step, at a tight tolerance.

    Returns
    -------
    Trajectory
    """
    problem = simulator.problem
    edges = tuple(problem.horizon.edges().tolist())
    profiles: dict[str, Profile] = {}
    for name, values in levels.items():
        if problem.controls[name].shape == LINES:
            at_edges = np.minimum(np.append(values, values[-1]), np.insert(values, 0, values[0]))
            profiles[name] = LinearFeed(edges, tuple(at_edges.tolist()))
        else:
            profiles[name] = StepFeed(edges, tuple(values.tolist()))
    points, tolerance = (_FINE_POINTS, TOLERANCE) if fine else (_POINTS, _TOLERANCE)
    return simulator.run(profiles, points=1 + points * problem.horizon.elements, tolerance=tolerance)


def halved(guess: Trajectory, name: str, low: float) -> Profile:
    """Return a control of a guess, halfway to its lowest value.

    Parameters
    ----------
    guess, name
        The guess, and the name of the control.
    low
        Its lowest value.

    Returns
    -------
    Profile
    """
    first = np.append(True, np.diff(guess.time) > 0.0)
    values = low + 0.5 * (guess[name] - low)
    return LinearFeed(tuple(guess.time[first].tolist()), tuple(values[first].tolist()))


def never() -> bool:
    """Return False: what has no deadline goes on."""
    return False


def _lowered(
    simulator: Simulator, wanted: Mapping[str, np.ndarray], ahead: int, stop: Callable[[], bool]
) -> tuple[dict[str, np.ndarray], float]:
    """Lower the wanted controls element by element, looking ``ahead`` elements beyond each.

    Where even the lowest controls violate a limit, nothing else is tried in the next elements until they do not.
    """
    problem = simulator.problem
    elements, edges = problem.horizon.elements, problem.horizon.edges()
    low = {name: float(control.low) for name, control in problem.controls.items()}
    controls = {name: np.full(elements, lowest) for name, lowest in low.items()}
    kept = np.zeros(elements)
    state, first_try, lost = dict(problem.start_values), 1.0, False

    def with_fraction(k: int, fraction: float) -> tuple[Trajectory, bool]:
        kept[k] = fraction
        for name, values in wanted.items():
            controls[name][k] = low[name] + fraction * (values[k] - low[name])
        trial = _simulated(simulator, state, controls, k, min(k + 1 + ahead, elements))
        return trial, keeps_limits(problem, trial)

    for k in range(elements):
        if stop():
            break
        lost = lost and not with_fraction(k, 0.0)[1]
        for cut in (0.0,) if lost else _CUTS:
            trial, keeps = with_fraction(k, cut * first_try)
            if keeps:
                break
        lost = not keeps
        first_try = min(1.0, max(_REGROWTH * kept[k], _CUT**_MOST_CUTS))
        state = {known.name: float(trial.at(known.name, edges[k + 1])) for known in problem.system.states}
    return controls, float(kept.mean())


def _simulated(
    simulator: Simulator, state: Mapping[str, float], controls: Mapping[str, np.ndarray], first: int, last: int
) -> Trajectory:
    """Simulate from the beginning of element ``first`` to the beginning of element ``last``."""
    edges = simulator.problem.horizon.edges()
    profiles = {name: StepFeed(tuple(edges.tolist()), tuple(values.tolist())) for name, values in controls.items()}
    return simulator.run(
        profiles,
        initial=state,
        begin=edges[first],
        end=edges[last],
        points=1 + _POINTS * (last - first),
        tolerance=_TOLERANCE,
    )


def _on_elements(problem: Problem, name: str, profile: Profile) -> np.ndarray:
    """A profile's values in the middle of each element, inside the control's range."""
    edges = problem.horizon.edges()
    control = problem.controls[name]
    wanted = np.clip([profile(float(t)) for t in (edges[:-1] + edges[1:]) / 2.0], control.low, control.high)
    held: np.ndarray = np.where(control.is_free(edges), wanted, control.low)
    return held
