"""The stage of starvation: the feed stops, and the textbook program becomes infeasible."""

from mmopt.errors import StudyError
from mmopt.fba.atlas import Atlas
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.reactor.profiles import Profile, StepFeed
from mmopt.reactor.system import Metabolism
from mmopt.report.records import StarvationRecord
from mmopt.report.run_folder import save_fluxes
from mmopt.results import Trajectory
from mmopt.study.options import StarvationOptions
from mmopt.study.run import Run
from mmopt.surrogate.layer import SmoothCell

_STARVES = 1.0e-6
"""Shortfall of maintenance from which on the cell starves [mmol/gDW/h]."""


def simulate_starvation(
    settings: StarvationOptions, run: Run, problem: Problem, surrogate: SmoothCell, atlas: Atlas
) -> StarvationRecord:
    """Stop the feed, and simulate the cell with the linear program and with the surrogate.

    Parameters
    ----------
    settings
        When the feed stops.
    run
        The run; gets the trajectories, and the record in its summary.
    problem
        The problem.
    surrogate
        The surrogate.
    atlas
        Exact fluxes, whose linear program is simulated.

    Returns
    -------
    StarvationRecord
        When starvation begins, its size, and the objectives reached.

    Raises
    ------
    StudyError
        If the system does not read the shortfall of maintenance.
    """
    end = max(settings.hours, settings.feed_stops + 1.0)
    feed = StepFeed((0.0, settings.feed_stops, end), (settings.feed, 0.0))
    feeds: dict[str, Profile] = dict.fromkeys(problem.controls, feed)

    def starved(metabolism: Metabolism) -> Trajectory:
        return Simulator(problem, metabolism).run(feeds, end=settings.hours)

    with run.stage("starvation"):
        by_program = run.save("starvation_lp", starved(atlas.program))
        by_surrogate = run.save("starvation_surrogate", starved(surrogate))
        both = {"surrogate": surrogate, "linear program": atlas}
        save_fluxes(run.folder / "fluxes_starvation.nc", {name: by_program.fluxes(cell) for name, cell in both.items()})
        if "shortfall" not in by_program.data:
            raise StudyError("the system does not read 'shortfall' of the cell; leave out 'starvation'")
        shortfall = by_program["shortfall"]
        hungry = by_program.time[shortfall > _STARVES]
        record = StarvationRecord(
            feed_stops=settings.feed_stops,
            hours=settings.hours,
            begins=float(hungry[0]) if hungry.size else None,
            largest_shortfall=float(shortfall.max()),
            reference=problem.objective_value(by_program),
            surrogate=problem.objective_value(by_surrogate),
        )
        run.record(starvation=record)
    return record
