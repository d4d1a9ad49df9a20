"""Why no controls keep the limits: the least by which limits must be broken, and what stands in their way.

Limits are made soft and nothing is wanted but to break them as little as possible, in parts of each quantity's scale (the
elastic problem): first those at the end alone, if a simulation keeps the others, then all. What is broken even then
cannot be kept, together with the limits that push back. If nothing is, the point found keeps all limits, and is a start.

References
----------
Chinneck (2008), Feasibility and Infeasibility in Optimization, Springer (elastic programs).
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mmopt.optimisation.initial_guess import keeps
from mmopt.problem.problem import Limits, Problem
from mmopt.results import Trajectory
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.collocation import END, EVERYWHERE
from mmopt.transcription.compiled import CompiledProblem

_AT_END: Final = " at the end"

_PRICE: Final = 1.0

_BROKEN: Final = 1.0e-4
"""Part of a scale from which on a limit counts as broken."""

_PUSHES: Final = 1.0e-3
"""Multiplier, in the scale of the limited quantity, from which on a limit counts as one that pushes back."""


@dataclass(frozen=True)
class Violation:
    """A limit that cannot be kept.

    Attributes
    ----------
    name
        Of the limited quantity.
    side
        ``lowest`` or ``highest``.
    limit, by, unit
        The limit, and by what it is broken at least at worst.
    time
        When that is [h].
    at_end
        Whether it is a limit at the end.
    begins
        Where the quantity begins, if that breaks the limit already.
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
        """Say it in words."""
        where = "at the end" if self.at_end else f"at {self.time:.3g} h"
        way = "below" if self.side == "lowest" else "above"
        begun = "" if self.begins is None else f" (it begins at {self.begins:g} {self.unit})"
        allowed = f"the {self.side} allowed, {self.limit:g} {self.unit}"
        return f"{self.name} {where} is {self.by:.3g} {self.unit} {way} {allowed}{begun}"


@dataclass(frozen=True)
class ElasticResult:
    """What the elastic problem shows.

    Attributes
    ----------
    plan
        The point that breaks limits least; a start, if it breaks none.
    broken
        Limits that cannot be kept, the worst in parts of its scale first.
    against
        Limits and ranges that push back, by what stands for each in words.
    """

    plan: Trajectory
    broken: tuple[Violation, ...]
    against: tuple[str, ...]

    def __str__(self) -> str:
        """Say which limits conflict, and by how much."""
        told = "; ".join(str(each) for each in self.broken)
        broken = {one.name + (_AT_END if one.at_end else "") for one in self.broken}
        others = [each for each in self.against if each not in broken]
        because = f", held there by {', '.join(others)}" if others else ""
        return f"at the least, {told}{because}"


def elastic(
    problem: Problem,
    surrogate: Surrogate | None,
    guess: Trajectory,
    options: Mapping[str, Any] | None = None,
    deadline: float = math.inf,
) -> ElasticResult | None:
    """Break the limits of a problem as little as possible.

    Parameters
    ----------
    problem, surrogate
        The problem, and who answers for the cell.
    guess
        Where to begin: a simulation, with controls as careful as can be if it breaks limits.
    options
        Options of Ipopt that differ from mmopt's.
    deadline
        When to stop, by `time.monotonic`.

    Returns
    -------
    Elastic
        If Ipopt finds no answer to that either, what the simulation breaks; None if it breaks nothing.
    """
    if not problem.has_choices and all(move.low == move.high for move in problem.control_settings.values()):
        broken = _broken_in(problem, guess, problem.final)  # nothing can be chosen: the simulation is all there is
        return ElasticResult(guess, broken, ("controls that leave no choice",)) if broken else None
    ends_first = [END] if problem.final and keeps(problem, guess) else []
    for soft in (*ends_first, EVERYWHERE):
        compiled = CompiledProblem(problem, surrogate, price=_PRICE, soft=soft, options=options, aim=False)
        compiled.start(guess)
        solve = compiled.solve(seconds=deadline - time.monotonic())
        if solve.status.solved:
            return ElasticResult(compiled.plan(solve.status), tuple(_broken(compiled)), tuple(_against(compiled)))
    broken = _broken_in(problem, guess, {})
    return ElasticResult(guess, broken, ("the most careful controls that a simulation found",)) if broken else None


def _broken_in(problem: Problem, made: Trajectory, final: Limits) -> tuple[Violation, ...]:
    """Limits that a simulation breaks, the worst in parts of its scale first."""
    found: list[tuple[float, Violation]] = []
    limits = [(name, pair, made[name][1:], False) for name, pair in problem.limits.items()]
    limits += [(name, pair, made[name][-1:], True) for name, pair in final.items()]
    for name, (low, high), values, at_end in limits:
        known = problem.quantities[name]
        for side, limit, sign in (("lowest", low, -1.0), ("highest", high, 1.0)):
            if limit is None:
                continue
            excess = sign * (values - limit)
            place = int(np.argmax(excess))
            if (part := float(excess[place]) / known.scale) > _BROKEN:
                by, time = float(excess[place]), float(made.time[-len(values) :][place])
                begins = _begins(problem, name, limit, sign)
                found.append((part, Violation(name, side, limit, by, known.unit, time, at_end, begins)))
    return tuple(broken for _, broken in sorted(found, key=lambda pair: -pair[0]))


def _begins(problem: Problem, name: str, limit: float, sign: float) -> float | None:
    """Where a state begins, if that is beyond its limit on one side."""
    start = problem.start.get(name)
    return start if start is not None and sign * (start - limit) > 0.0 else None


def _broken(compiled: CompiledProblem) -> list[Violation]:
    program, problem = compiled.program, compiled.problem
    known, hours = problem.quantities, program.length.value
    found: list[tuple[float, Violation]] = []
    for name, (low, high) in problem.limits.items():
        if (name, program.inner.last()) not in program.below:
            continue
        sides = (("lowest", low, program.below, -1.0), ("highest", high, program.above, 1.0))
        for side, limit, slack, sign in sides:
            parts = {t: slack[name, t].value for t in program.inner}
            t = max(parts, key=lambda each: parts[each])
            if limit is not None and parts[t] > _BROKEN:
                by = parts[t] * known[name].scale
                begins = _begins(problem, name, limit, sign)
                found.append((parts[t], Violation(name, side, limit, by, known[name].unit, t * hours, False, begins)))
    for name, (low, high) in problem.final.items():
        for side, limit, slack in (("lowest", low, program.end_below), ("highest", high, program.end_above)):
            part = slack[name].value
            if limit is not None and part > _BROKEN:
                broken = Violation(name, side, limit, part * known[name].scale, known[name].unit, hours, at_end=True)
                found.append((part, broken))
    return [broken for _, broken in sorted(found, key=lambda pair: -pair[0])]


def _against(compiled: CompiledProblem) -> list[str]:
    """Names of limits, and controls at the end of their range, whose multipliers push against the broken limits."""
    program, problem, multiplier = compiled.program, compiled.problem, compiled.ipopt.multiplier
    known = problem.quantities
    found = [
        name
        for name in problem.limits
        if sum(abs(multiplier(program.watched[name, t])) for t in program.inner) * known[name].scale > _PUSHES
    ]
    found += [
        name + _AT_END for name in problem.final if abs(multiplier(program.at_end[name])) * known[name].scale > _PUSHES
    ]
    for name, move in problem.control_settings.items():
        pushes = np.array([multiplier(program.control[name, at]) for n, at in program.control if n == name])
        for side, limit, push in (("highest", move.high, pushes.max()), ("lowest", move.low, -pushes.min())):
            if push > _PUSHES:
                found.append(f"the {side} {name}, {limit:g}")
    return found
