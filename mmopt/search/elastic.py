"""The elastic problem: the least violation of limits, and what stands against it, where no controls keep them all.

Limits are made soft and violations alone are minimised, in scales of each quantity: first of limits at the end alone, if a
simulation keeps the others, then of all. What is violated even then cannot be kept, together with the limits whose
multipliers push back. If nothing is violated, the point keeps all limits, and is an initial guess.

References
----------
Chinneck (2008), Feasibility and Infeasibility in Optimization, Springer (elastic programs).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mmopt.problem.limits import Limits
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.results import Trajectory
from mmopt.search.initial_guess import keeps_limits
from mmopt.search.options import Deadline
from mmopt.solvers.ipopt_options import Tuning
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.bounds import CONTROL, FINAL
from mmopt.transcription.compiled import CompiledProblem
from mmopt.transcription.equations import END, EVERYWHERE, Relaxation
from mmopt.transcription.program import CollocationProgram

_AT_END: Final = " at the end"

_PRICE: Final = 1.0

_TRIED: Final = ((Tuning.CLOSE, 150), (Tuning.FAR, 200))
"""How Ipopt searches, and in how many iterations at the most. The first needs 28 to 200 where the second takes 300 or more; it
fails in others, since the guess may be far from the least violation."""

_VIOLATED: Final = 1.0e-4
"""Fraction of a scale from which on a limit counts as violated."""

_PUSHES: Final = 1.0e-3
"""Multiplier, in the scale of the limited quantity, from which on a limit counts as one that pushes back."""

_LOWEST, _HIGHEST = "lowest", "highest"


@dataclass(frozen=True)
class Violation:
    """A limit that cannot be kept.

    Attributes
    ----------
    name
        The limited quantity.
    side
        ``lowest`` or ``highest``.
    limit, by, unit
        The limit, and its least violation at the worst time.
    time
        That time [h].
    at_end
        Whether it is a limit at the end.
    begins
        Initial value of the quantity, if that violates the limit already.

    Examples
    --------
    >>> print(Violation("volume", "highest", 3.0, 0.2, "L", 12.0, at_end=True))
    volume at the end is 0.2 L above the highest allowed, 3 L
    """

    name: str
    side: str
    limit: float
    by: float
    unit: str
    time: float
    at_end: bool = False
    begins: float | None = None

    def __str__(self) -> str:
        when = "at the end" if self.at_end else f"at {self.time:.3g} h"
        way = "below" if self.side == _LOWEST else "above"
        begun = "" if self.begins is None else f" (it begins at {self.begins:g} {self.unit})"
        allowed = f"the {self.side} allowed, {self.limit:g} {self.unit}"
        return f"{self.name} {when} is {self.by:.3g} {self.unit} {way} {allowed}{begun}"


@dataclass(frozen=True, eq=False)
class ElasticResult:
    """The answer of the elastic problem.

    Attributes
    ----------
    trajectory
        The point with the least violation; an initial guess, if it violates nothing.
    violations
        Limits that cannot be kept, the worst for the scale of its quantity first.
    against
        Limits and ranges whose multipliers push back, in words.
    """

    trajectory: Trajectory
    violations: tuple[Violation, ...]
    against: tuple[str, ...]

    def __str__(self) -> str:
        violated = {limit.name + (_AT_END if limit.at_end else "") for limit in self.violations}
        others = [limit for limit in self.against if limit not in violated]
        because = f", held there by {', '.join(others)}" if others else ""
        return f"at the least, {'; '.join(map(str, self.violations))}{because}"


def least_violation(
    simulator: Simulator,
    guess: Trajectory,
    options: Mapping[str, Any] | None = None,
    deadline: Deadline = Deadline(),  # noqa: B008 - immutable
) -> ElasticResult | None:
    """Violate the limits of a problem as little as possible; limits with a price do not count.

    Parameters
    ----------
    simulator
        The problem with the surrogate of its cell.
    guess
        Where to begin: a simulation, with the lowest controls if it violates limits.
    options
        Options of Ipopt that differ from mmopt's.
    deadline
        When to stop.

    Returns
    -------
    ElasticResult or None
        If Ipopt has no answer either, what the simulation violates; None if it violates nothing.
    """
    problem = simulator.problem.with_hard_limits()
    surrogate = simulator.metabolism if isinstance(simulator.metabolism, SmoothCell) else None
    if not problem.has_choices and all(control.low == control.high for control in problem.controls.values()):
        violations = simulated_violations(
            problem, guess, problem.final
        )  # nothing is free: the simulation is all there is
        return ElasticResult(guess, violations, ("controls that leave no choice",)) if violations else None
    ends_first = [END] if problem.final and keeps_limits(problem, guess) else []
    for where in (*ends_first, EVERYWHERE):
        relaxation = Relaxation(_PRICE, where, objective=False)
        compiled = CompiledProblem(problem, surrogate, relaxation=relaxation, options=options)
        for tuning, iterations in _TRIED:
            compiled.start(guess)
            most = math.inf if "max_iter" in (options or {}) else iterations
            solve = compiled.solve(tuning=tuning, seconds=deadline.left, iterations=most)
            if solve.status.solved:
                return ElasticResult(
                    compiled.trajectory(solve.status), violations_of(compiled.program), _against(compiled)
                )
    violations = simulated_violations(problem, guess, {})
    return ElasticResult(guess, violations, ("the lowest controls that a simulation tried",)) if violations else None


def simulated_violations(problem: Problem, trajectory: Trajectory, final: Limits) -> tuple[Violation, ...]:
    """Return the limits that a simulation violates.

    Parameters
    ----------
    problem
        The problem.
    trajectory
        The simulation.
    final
        Limits at the end that count.

    Returns
    -------
    tuple of Violation
        The worst for its scale first.
    """
    weighted: list[tuple[float, Violation]] = []
    limits = [(name, pair, trajectory[name][1:], False) for name, pair in problem.limits.items()]
    limits += [(name, pair, trajectory[name][-1:], True) for name, pair in final.items()]
    for name, (low, high), values, at_end in limits:
        known = problem.quantities[name]
        for side, limit, sign in ((_LOWEST, low, -1.0), (_HIGHEST, high, 1.0)):
            if limit is None:
                continue
            excess = sign * (values - limit)
            worst = int(np.argmax(excess))
            by, time = float(excess[worst]), float(trajectory.time[-len(values) :][worst])
            if by / known.scale > _VIOLATED:
                begins = _begins(problem, name, limit, sign)
                weighted.append((by / known.scale, Violation(name, side, limit, by, known.unit, time, at_end, begins)))
    return _sorted(weighted)


def violations_of(program: CollocationProgram) -> tuple[Violation, ...]:
    """Return the limits that the present answer of a program violates.

    Parameters
    ----------
    program
        A program with soft limits.

    Returns
    -------
    tuple of Violation
        The worst for the scale of its quantity first.
    """
    weighted: list[tuple[float, Violation]] = []
    for quantity in program.bounded_quantities():
        if quantity.kind == CONTROL or not quantity.slacks:
            continue
        sides = ((_LOWEST, quantity.lower, -1.0), (_HIGHEST, quantity.upper, 1.0))
        for (side, limit, sign), amounts in zip(sides, quantity.violations, strict=True):
            worst = int(np.argmax(amounts))
            if limit is None or amounts[worst] <= _VIOLATED:
                continue
            at_end = quantity.kind == FINAL
            begins = None if at_end else _begins(program.problem, quantity.name, limit, sign)
            by, time = float(amounts[worst]) * quantity.scale, float(quantity.edges[worst + 1])
            violation = Violation(quantity.name, side, limit, by, quantity.unit, time, at_end, begins)
            weighted.append((float(amounts[worst]), violation))
    return _sorted(weighted)


def _sorted(weighted: list[tuple[float, Violation]]) -> tuple[Violation, ...]:
    return tuple(violation for _, violation in sorted(weighted, key=lambda entry: -entry[0]))


def _begins(problem: Problem, name: str, limit: float, sign: float) -> float | None:
    """Initial value of a state, if that is beyond its limit on one side."""
    start = problem.start_values.get(name)
    return start if start is not None and sign * (start - limit) > 0.0 else None


def _against(compiled: CompiledProblem) -> tuple[str, ...]:
    """Names of limits, and controls at the end of their range, whose multipliers push against the violated limits."""
    limits: list[str] = []
    ranges: list[str] = []
    for quantity in compiled.program.bounded_quantities():
        pushes = np.array([compiled.multiplier(variable) for variable in quantity.variables])
        if quantity.kind != CONTROL:
            if np.abs(pushes).sum() * quantity.scale > _PUSHES:
                limits.append(quantity.name + (_AT_END if quantity.kind == FINAL else ""))
            continue
        for side, limit, push in ((_HIGHEST, quantity.upper, pushes.max()), (_LOWEST, quantity.lower, -pushes.min())):
            if push > _PUSHES:
                ranges.append(f"the {side} {quantity.name}, {limit:g}")
    return (*limits, *ranges)
