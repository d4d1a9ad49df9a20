"""A problem compiled once, and solved again for other data: initial states, parameters, limits, ranges, length.

What changes between solves are bounds of variables, so that nothing is written or derived anew.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pyomo.environ as pyo

from mmopt.errors import SolverError, StudyError
from mmopt.problem.control import Control
from mmopt.problem.problem import Given, Limits, Problem
from mmopt.results import Trajectory
from mmopt.solvers.ipopt import IpoptExecutable, NonlinearProgram, Solve, find_executable
from mmopt.status import Status
from mmopt.surrogate.embed import REDUCED
from mmopt.surrogate.grey_box import GREY_BOX
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.collocation import EVERYWHERE, transcribe
from mmopt.transcription.plan import read_plan
from mmopt.transcription.program import bound_limits, set_data, start_from

_OPTIONS: Final = {"max_iter": 1000}

_WITH_CELL: Final = {
    "mu_init": 1.0e-3,
    "bound_push": 1.0e-4,
    "bound_frac": 1.0e-4,
    "nlp_scaling_max_gradient": 1000.0,
}
"""Where a surrogate answers, what the start promises is near what can be had, and the barrier need not begin far from limits;
`docs/design.md` has what was measured. Other systems start from far, and end in worse optima with these."""


class CompiledProblem:
    """A problem as a program that is solved again and again.

    Parameters
    ----------
    problem
        The problem; its structure (horizon but for the length, names of limits, shapes of controls) stays.
    surrogate
        Answers for the cell; None for a system without one.
    price, soft, aim
        As for `transcribe`.
    options
        Options of Ipopt that differ from mmopt's.
    bundled
        The Ipopt from pip; else the user's own executable, which is written to and read from with every solve.
    formulation
        How the surrogate is written, see `transcribe`. By default ``grey_box`` for the bundled Ipopt and
        ``reduced_space``, which any solver takes, for an executable.

    Attributes
    ----------
    problem
        With the present data.
    program
        The Pyomo problem.
    solves
        Record of every solve.

    Raises
    ------
    SolverError
        If the executable is wanted and there is none.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, elements=2), {"feed": (0.0, 0.1)})
    >>> compiled = Compiled(problem, load_surrogate("ecoli_ijo1366"))
    >>> compiled.solve().status.name
    'OPTIMAL'
    >>> compiled.change(initial={**start, "biomass": 1.2})
    >>> compiled.solve(warm=True).status.name
    'OPTIMAL'
    """

    def __init__(
        self,
        problem: Problem,
        surrogate: Surrogate | None = None,
        *,
        price: float | None = None,
        soft: str = EVERYWHERE,
        aim: bool = True,
        options: Mapping[str, Any] | None = None,
        bundled: bool = True,
        formulation: str | None = None,
    ) -> None:
        formulation = formulation or (GREY_BOX if bundled else REDUCED)
        self.problem = problem
        self.surrogate = surrogate
        self.program: pyo.ConcreteModel = transcribe(
            problem, surrogate, price=price, soft=soft, aim=aim, formulation=formulation
        )
        self.ipopt = door(self.program, ipopt_options(surrogate, options), bundled)
        self.solves: list[Solve] = []

    def change(
        self,
        *,
        initial: Mapping[str, Given] | None = None,
        parameters: Mapping[str, Given] | None = None,
        length: Given | None = None,
        limits: Limits | None = None,
        final: Limits | None = None,
        controls: Mapping[str, Control | tuple[float, float]] | None = None,
    ) -> None:
        """Change data; what is not named stays, and so does all of a control but its range if a range is given.

        Raises
        ------
        StudyError
            If a name is unknown, a number is not finite, something is to be limited that was not before, or a control is to
            have another shape, fastest change or price of move_penalty.
        """
        before = self.problem
        changed = replace(
            before,
            initial={**before.initial, **(initial or {})},
            parameters={**before.parameters, **(parameters or {})},
            horizon=before.horizon if length is None else replace(before.horizon, length=length),
            limits={**before.limits, **(limits or {})},
            final={**before.final, **(final or {})},
            controls={**before.controls, **_ranged(before, controls or {})},
        )
        for kind, new, old in (
            ("limits", changed.limits, before.limits),
            ("final limits", changed.final, before.final),
        ):
            if set(new) != set(old):
                named = ", ".join(sorted(set(new) - set(old)))
                raise StudyError(
                    f"the compiled problem has no {kind} of {named}; name them, as (None, None), when it is made"
                )
        for name, move in changed.control_settings.items():
            if replace(move, **_range_of(before.control_settings[name])) != before.control_settings[name]:
                raise StudyError(
                    f"control '{name}' was compiled with another shape, fastest change or price of move_penalty; compile the "
                    "problem anew"
                )
        set_data(self.program, changed, initial=initial, length=length, parameters=parameters)
        bound_limits(self.program, changed)
        self.problem = changed

    def start(self, trajectory: Trajectory, begin: float | None = None) -> None:
        """Start the next solve from a trajectory, from ``begin`` [h] on."""
        start_from(self.program, self.problem, trajectory, self.surrogate, begin)

    def solve(self, *, warm: bool = False, seconds: float = math.inf) -> Solve:
        """Solve from the present values, for some seconds at most; ``warm`` also from the last accepted multipliers."""
        self.solves.append(self.ipopt.solve(warm=warm, seconds=seconds))
        return self.solves[-1]

    def plan(self, status: Status = Status.OPTIMAL) -> Trajectory:
        """The present values as a plan."""
        return read_plan(self.program, self.problem, self.surrogate, status)


def ipopt_options(surrogate: Surrogate | None, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options of Ipopt for a problem with or without a cell, and those that are to differ."""
    return {**_OPTIONS, **({} if surrogate is None else _WITH_CELL), **(options or {})}


def _ranged(problem: Problem, controls: Mapping[str, Control | tuple[float, float]]) -> dict[str, Any]:
    """Ranges as the controls they were, with these ranges; names nobody knows are left for the problem to refuse."""
    moves = problem.control_settings
    return {
        name: replace(moves[name], low=given[0], high=given[1]) if isinstance(given, tuple) and name in moves else given
        for name, given in controls.items()
    }


def _range_of(move: Control) -> dict[str, Any]:
    """What of a control is a bound, and may change."""
    return {"low": move.low, "high": move.high, "windows": move.windows}


def door(
    program: pyo.ConcreteModel, options: Mapping[str, Any] | None, bundled: bool
) -> NonlinearProgram | IpoptExecutable:
    """The Ipopt that is to solve a program.

    Raises
    ------
    SolverError
        If the executable is wanted and there is none.
    """
    if bundled:
        return NonlinearProgram(program, options)
    executable = find_executable()
    if executable is None:
        raise SolverError("no ipopt executable was found; install one (idaes get-extensions) or use the bundled Ipopt")
    return IpoptExecutable(program, executable, options)
