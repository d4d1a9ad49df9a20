"""The stage of the optimal feed: the plan, its feed table, and its replay on the linear program."""

from collections.abc import Mapping
from typing import Final

from mmopt.fba.atlas import Atlas
from mmopt.optimisation.optimise import optimise
from mmopt.plan.plan import KEPT, Plan, Replay
from mmopt.problem.problem import Problem
from mmopt.report.records import Amount, FeedRecord, Gaps, OptimisationRecord, ResultRow, ViolationRow
from mmopt.report.run_folder import save_fluxes
from mmopt.results import Trajectory
from mmopt.search.options import OptimiseOptions
from mmopt.study.run import Run
from mmopt.surrogate.layer import SmoothCell

_GUESSES: Final = 4
"""Initial guesses of an optimisation, since optima are local; `docs/design.md` has how far apart they were."""

_NO_BACK_OFF: Final = 1.0e-6
"""Fraction of a scale below which a back-off is rounding."""

PLANNING: Final = "optimal feed"


def plan_and_replay(run: Run, problem: Problem, surrogate: SmoothCell, atlas: Atlas) -> tuple[Plan, Replay]:
    """Optimise, write the feed as a table, and replay the plan on the linear program itself.

    Parameters
    ----------
    run
        The run; gets the trajectories, the feed tables, and the results in its summary.
    problem
        The problem.
    surrogate
        The surrogate of the cell.
    atlas
        Exact fluxes, with which the plan keeps its limits.

    Returns
    -------
    plan, replay
        The plan, and its simulation on the linear program.
    """
    with run.stage(PLANNING):
        plan = optimise(problem, surrogate, reference=atlas, options=_options(run))
        plan.save(run.folder / "optimum.nc")
        if plan.integration is not None:
            run.save("resimulation", plan.integration.trajectory)
    feeds = {}
    for name in problem.controls:
        table = plan.feed_table(name)
        table.to_csv(run.folder / f"{name}.csv")
        feeds[name] = FeedRecord(header=table.header, rows=tuple(map(tuple, table.rows.tolist())))
    with run.stage("replay on the linear program"):
        replay = plan.replay(atlas.program)
        run.save("replay", replay.trajectory)
        both = {"surrogate": surrogate, "linear program": atlas}
        save_fluxes(
            run.folder / "fluxes_plan.nc", {name: replay.trajectory.fluxes(cell) for name, cell in both.items()}
        )
    run.record(
        results=(_row(plan, replay),),
        feeds=feeds,
        optimisation=_describe(plan),
        active_limits=tuple(map(str, plan.active_limits)),
        gaps=Gaps(integration=plan.integration.gap if plan.integration else None, reference=replay.gap),
        violations=violation_rows(problem, replay.trajectory, replay.violations),
        limits_kept=replay.worst_violation <= KEPT,
    )
    return plan, replay


def _row(plan: Plan, replay: Replay) -> ResultRow:
    integrated = plan.integration.objective if plan.integration else None
    return ResultRow(
        role="optimum",
        name="Optimal feed",
        planned=plan.objective,
        integrated=integrated,
        reference=replay.objective,
    )


def _options(run: Run) -> OptimiseOptions:
    def report(stage: str, done: int, total: int) -> None:
        run.progress(PLANNING, 0, 1, f"{stage} {done}/{total}")

    return OptimiseOptions(guesses=_GUESSES, progress=report)


def _describe(plan: Plan) -> OptimisationRecord:
    record, quantities = plan.record, plan.problem.quantities
    return OptimisationRecord(
        status=plan.status.value,
        solver=record.solver,
        iterations=record.iterations,
        solves=record.solves,
        solve_seconds=record.solve_seconds,
        build_seconds=record.build_seconds,
        seconds=record.seconds,
        variables=record.variables,
        constraints=record.constraints,
        elements=record.elements,
        remedies=record.remedies,
        back_off={
            name: Amount(value=amount, unit=quantities[name].unit)
            for name, amount in record.back_off.items()
            if amount > _NO_BACK_OFF * quantities[name].scale
        },
    )


def violation_rows(
    problem: Problem, trajectory: Trajectory, violations: Mapping[str, float]
) -> tuple[ViolationRow, ...]:
    """Describe violated limits: allowed and reached value, and the relative violation.

    Parameters
    ----------
    problem
        The problem.
    trajectory
        A trajectory that violates limits.
    violations
        Relative violation by name of the limit; limits at the end are named ``final <name>``.

    Returns
    -------
    tuple of ViolationRow
        One row per violated limit.
    """
    rows = []
    for title, relative in violations.items():
        at_end = title not in problem.limits
        name = title.removeprefix("final ") if at_end else title
        low, high = (problem.final if at_end else problem.limits)[name]
        values = trajectory[name][-1:] if at_end else trajectory[name][1:]
        below = low is not None and (high is None or low - values.min() > values.max() - high)
        rows.append(
            ViolationRow(
                limit=title,
                allowed=low if below else high,
                reached=float(values.min() if below else values.max()),
                relative=relative,
                unit=problem.quantities[name].unit,
            )
        )
    return tuple(rows)
