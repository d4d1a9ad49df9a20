"""The stage of the closed loop: a controller on a plant that differs from what it assumes."""

from dataclasses import replace
from typing import Final

import numpy as np

from mmopt.control.closed_loop import ClosedLoop, run_closed_loop
from mmopt.control.controller import Controller
from mmopt.control.estimator import Estimator
from mmopt.control.plant import Plant
from mmopt.fba.atlas import Atlas
from mmopt.problem.problem import Problem
from mmopt.reactor.system import Metabolism
from mmopt.report.records import Amount, ClosedLoopRecord
from mmopt.study.description import describe_limits
from mmopt.study.options import ClosedLoopOptions
from mmopt.study.run import Run
from mmopt.surrogate.layer import SmoothCell

_MILLI: Final = 1.0e3
"""Milliseconds per second."""


def run_closed_loops(
    settings: ClosedLoopOptions, run: Run, problem: Problem, surrogate: SmoothCell, atlas: Atlas
) -> ClosedLoopRecord:
    """Control the batch on a disturbed plant, and with a controller that knows the plant.

    Parameters
    ----------
    settings
        The closed loop of the study.
    run
        The run; gets the trajectories, and the record in its summary.
    problem
        The problem.
    surrogate
        The surrogate that the controller uses.
    atlas
        Exact fluxes. The closed loop runs on their linear program itself, its reference on the same fluxes from memory.

    Returns
    -------
    ClosedLoopRecord
        Objectives, steps, and violated limits.
    """
    assumed = dict(problem.parameter_values)
    true = {**assumed, **settings.disturbance}
    loop = _loop(
        settings, run, "closed_loop", "closed loop on the linear program", problem, surrogate, assumed, atlas.program
    )
    reference = _loop(settings, run, "reference", "closed loop, plant known", problem, surrogate, true, atlas)
    record = _describe(settings, run, problem, loop, reference)
    run.record(closed_loop=record)
    return record


def _loop(
    settings: ClosedLoopOptions,
    run: Run,
    name: str,
    stage: str,
    problem: Problem,
    surrogate: SmoothCell,
    assumed: dict[str, float],
    metabolism: Metabolism,
) -> ClosedLoop:
    """Run a closed loop whose controller assumes some parameters."""
    steps = int(np.ceil(problem.horizon.hours / settings.interval - 1.0e-9))
    aimed = replace(problem, limits={**problem.limits, **settings.limits}, parameters=dict(assumed))
    system, start = problem.system, problem.start_values
    true = {**problem.parameter_values, **settings.disturbance}
    with run.stage(stage, steps) as progress:
        controller = Controller(aimed, surrogate, settings.interval)
        estimator = Estimator(system, surrogate, start, settings.noise, parameters=assumed, drifting=settings.estimated)
        plant = Plant(system, metabolism, start, parameters=true, noise=settings.noise, seed=settings.seed)
        loop = run_closed_loop(plant, controller, estimator, progress)
        loop.save(run.folder / f"{name}.nc")
        return loop


def _describe(
    settings: ClosedLoopOptions, run: Run, problem: Problem, loop: ClosedLoop, reference: ClosedLoop
) -> ClosedLoopRecord:
    optimum = run.summary.row("optimum")
    units = {known.name: known.unit for known in problem.system.parameters}
    changed = {name: pair for name, pair in settings.limits.items() if pair != problem.limits.get(name)}
    return ClosedLoopRecord(
        disturbance={name: Amount(value=value, unit=units[name]) for name, value in settings.disturbance.items()},
        objective=loop.objective,
        reference_objective=reference.objective,
        open_loop_objective=optimum.reference if optimum else None,
        ratio=loop.objective / reference.objective if reference.objective else None,
        aimed_limits=describe_limits(changed, {name: known.unit for name, known in problem.quantities.items()}),
        steps=len(loop.steps),
        fallbacks=loop.fallbacks,
        median_ms=_MILLI * float(np.median(loop.seconds)),
        worst_ms=_MILLI * float(np.max(loop.seconds)),
        violations={**problem.violated_limits(loop.trajectory)},
    )
