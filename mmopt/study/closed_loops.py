"""The stage of the closed loop: a controller on a plant that differs from what it assumes."""

import shutil
from dataclasses import replace
from typing import Final

import numpy as np

from mmopt.control.batches import ControlledBatch, run_campaign
from mmopt.control.closed_loop import ClosedLoop, load_closed_loop
from mmopt.fba.atlas import Atlas
from mmopt.problem.problem import Problem
from mmopt.report.records import Amount, CampaignRecord, ClosedLoopRecord
from mmopt.report.run_folder import CAMPAIGN_FILE
from mmopt.study.description import describe_limits
from mmopt.study.options import ClosedLoopOptions
from mmopt.study.run import BATCHES, Run
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
    batch = ControlledBatch(
        problem,
        surrogate,
        atlas.program,
        settings.interval,
        settings.noise,
        settings.disturbance,
        settings.estimated,
        settings.limits,
        settings.sampling,
        settings.estimator,
        settings.scenarios,
        settings.robust_horizon,
        settings.advanced_step,
        settings.time_limit,
        settings.hours,
    )
    known = replace(problem, parameters={**problem.parameter_values, **settings.disturbance})
    loop = _loop(batch, settings, run, "closed_loop", "closed loop on the linear program")
    knowing = replace(batch, problem=known, metabolism=atlas)
    reference = _loop(knowing, settings, run, "reference", "closed loop, plant known")
    campaign = None
    if settings.batches is not None:
        campaign = _campaign(replace(batch, metabolism=atlas), settings, settings.batches, run)
    record = _describe(settings, run, batch.counted, loop, reference, campaign)
    run.record(closed_loop=record)
    return record


def _loop(batch: ControlledBatch, settings: ClosedLoopOptions, run: Run, name: str, stage: str) -> ClosedLoop:
    """Run one closed loop and save it, or load the one that was saved before an interruption."""
    if run.has_done(stage):
        return load_closed_loop(run.folder / f"{name}.nc")
    with run.stage(stage, batch.steps) as progress:
        loop = batch.run(settings.seed, progress)
        loop.save(run.folder / f"{name}.nc")
        return loop


def _campaign(batch: ControlledBatch, settings: ClosedLoopOptions, batches: int, run: Run) -> CampaignRecord:
    """Run the batch with other seeds, as far as an interrupted run has not, and save what they have in common."""
    seeds = range(settings.seed, settings.seed + batches)
    with run.stage(f"closed loop, {batches} batches", batches) as progress:
        saved = run.folder / BATCHES
        if run.summary.unfinished is None:  # of another study, maybe
            shutil.rmtree(saved, ignore_errors=True)
        campaign = run_campaign(batch, seeds, folder=saved, workers=settings.workers, progress=progress)
        campaign.save(run.folder / CAMPAIGN_FILE)
        shutil.rmtree(saved)
    lowest, median, highest = np.quantile(campaign.objectives, [0.0, 0.5, 1.0]).tolist()
    return CampaignRecord(
        batches=batches,
        lowest=lowest,
        median=median,
        highest=highest,
        violating=campaign.violating,
        worst_violation=float(campaign.violations.max()),
        fallbacks=int(campaign.fallbacks.sum()),
        median_ms=_MILLI * float(np.median(campaign.seconds)),
        late_ms=_MILLI * float(np.quantile(campaign.seconds, 0.99)),
    )


def _describe(
    settings: ClosedLoopOptions,
    run: Run,
    problem: Problem,
    loop: ClosedLoop,
    reference: ClosedLoop,
    campaign: CampaignRecord | None,
) -> ClosedLoopRecord:
    optimum = run.summary.row("optimum")
    units = {known.name: known.unit for known in problem.system.parameters}
    changed = {name: pair for name, pair in settings.limits.items() if pair != problem.limits.get(name)}
    return ClosedLoopRecord(
        disturbance={name: Amount(value=value, unit=units[name]) for name, value in settings.disturbance.items()},
        objective=loop.objective,
        reference_objective=reference.objective,
        # a feed that was planned for another length is no comparison
        open_loop_objective=optimum.reference if optimum and settings.hours is None else None,
        ratio=loop.objective / reference.objective if reference.objective else None,
        aimed_limits=describe_limits(changed, {name: known.unit for name, known in problem.quantities.items()}),
        steps=len(loop.steps),
        fallbacks=loop.fallbacks,
        median_ms=_MILLI * float(np.median(loop.seconds)),
        worst_ms=_MILLI * float(np.max(loop.seconds)),
        violations={**problem.violated_limits(loop.trajectory)},
        campaign=campaign,
    )
