"""A batch under control, again and again with other noise: what a controller can be trusted with.

One closed loop is an anecdote. A campaign runs many, in processes or on a Dask cluster, saves every one as soon as it is
done, and continues where it was ended.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from operator import index
from pathlib import Path
from typing import Any, Final

from mmopt.checking import finite, shown
from mmopt.control.campaign import Campaign, campaign_of
from mmopt.control.closed_loop import ClosedLoop, Progress, load_closed_loop, moves_in, run_closed_loop
from mmopt.control.controller import RECEDING, SHRINKING, Controller
from mmopt.control.estimator import Estimator
from mmopt.control.moving_horizon import MovingHorizonEstimator
from mmopt.control.plant import Plant, Sampling
from mmopt.errors import StudyError
from mmopt.io.files import write_whole
from mmopt.io.seal import digest
from mmopt.parallel.sharing import solved
from mmopt.problem.content import content_of
from mmopt.problem.problem import Problem
from mmopt.reactor.system import Metabolism
from mmopt.search.scenario_starts import scenario_problems
from mmopt.surrogate.layer import SmoothCell

_FINGERPRINT: Final = "campaign.json"

KALMAN_FILTER = "kalman_filter"
ESTIMATORS: Final[Mapping[str, type[Estimator]]] = {
    KALMAN_FILTER: Estimator,
    "moving_horizon": MovingHorizonEstimator,
}
"""Estimators of a batch by name."""


@dataclass(frozen=True)
class ControlledBatch:
    """A batch under control, as it is run with one seed after the other: controller, estimator and plant.

    Parameters
    ----------
    problem
        The problem, with the limits that count and the parameters that the controller assumes.
    surrogate
        Surrogate of the cell in controller and estimator; None for a system without one.
    metabolism
        Metabolism of the plant's cell.
    interval
        Time between moves [h].
    noise
        Standard deviation of the sensor by measured quantity, in its unit: a state, or what the system derives.
    disturbance
        Parameters of the plant that differ from the problem's.
    drifting
        Estimated parameters, as for `Estimator`.
    aims
        Limits that the controller aims at in place of the problem's.
    sampling
        When a measured quantity is sampled, and how late its value arrives; by default at every move, at once.
    estimator
        ``kalman_filter``: `Estimator`. ``moving_horizon``: `MovingHorizonEstimator`.
    scenarios, robust_horizon, advanced_step, time_limit
        Of the controller, as for `Controller`.
    hours
        How long a controller with a receding horizon runs [h], where the horizon of the problem is what each step looks ahead;
        None for a horizon that shrinks with the batch.

    Raises
    ------
    StudyError
        If an argument is of another kind, a name is unknown, or a number is out of range.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, elements=2), {"feed": (0.0, 0.1)})
    >>> cell = load_surrogate("ecoli_ijo1366")
    >>> batch = ControlledBatch(problem, cell, cell, 1.0, noise={"biomass": 0.01})
    >>> len(batch.run(seed=3).steps)
    2
    """

    problem: Problem
    surrogate: SmoothCell | None
    metabolism: Metabolism | None
    interval: float
    noise: Mapping[str, float]
    disturbance: Mapping[str, float] = field(default_factory=dict)
    drifting: Mapping[str, float] = field(default_factory=dict)
    aims: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    sampling: Mapping[str, Sampling] = field(default_factory=dict)
    estimator: str = KALMAN_FILTER
    scenarios: Sequence[Mapping[str, float]] = ()
    robust_horizon: float | None = None
    advanced_step: bool = False
    time_limit: float = 20.0
    hours: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.problem, Problem):
            raise StudyError(f"problem is {shown(self.problem)}; give a Problem")
        for name in ("noise", "disturbance", "drifting", "aims", "sampling"):
            if not isinstance(getattr(self, name), Mapping):
                raise StudyError(f"{name} is {shown(getattr(self, name))}; give a mapping of names to values")
        finite("interval", self.interval, above=0.0, unit="h")
        finite("time_limit", self.time_limit, above=0.0, unit="s")
        if self.hours is not None:
            finite("hours", self.hours, above=0.0, unit="h")
        if self.estimator not in ESTIMATORS:
            raise StudyError(f"estimator is {shown(self.estimator)}; use one of {', '.join(ESTIMATORS)}")
        scenario_problems(self._aimed(), self.scenarios)
        self._estimator()
        self._plant(seed=0)

    def _aimed(self) -> Problem:
        """The problem of the controller."""
        parameters = {**self.problem.parameters}
        return replace(self.problem, limits={**self.problem.limits, **self.aims}, parameters=parameters)

    def _estimator(self) -> Estimator:
        problem = self.problem
        return ESTIMATORS[self.estimator](
            problem.system,
            self.surrogate,
            problem.start_values,
            self.noise,
            parameters=problem.parameter_values,
            drifting=self.drifting,
        )

    def _plant(self, seed: int) -> Plant:
        problem, true = self.problem, {**self.problem.parameter_values, **self.disturbance}
        return Plant(
            problem.system,
            self.metabolism,
            problem.start_values,
            parameters=true,
            noise=self.noise,
            sampling=self.sampling,
            seed=seed,
        )

    def run(self, seed: int, progress: Progress | None = None) -> ClosedLoop:
        """Run one batch to its end.

        Parameters
        ----------
        seed
            Seed of the noise.
        progress
            Called with (done, total) after every interval.

        Returns
        -------
        ClosedLoop
        """
        self._controller.reset()
        return run_closed_loop(self._plant(seed), self._controller, self._estimator(), progress, hours=self.hours)

    @property
    def counted(self) -> Problem:
        """The problem whose limits count: without those at the end, where there is none."""
        return self.problem if self.hours is None else replace(self.problem, final={})

    @property
    def steps(self) -> int:
        """Number of moves."""
        return moves_in(self.problem.horizon.hours if self.hours is None else self.hours, self.interval)

    @cached_property
    def _controller(self) -> Controller:
        """The controller, compiled once for all seeds."""
        return Controller(
            self._aimed(),
            self.surrogate,
            self.interval,
            horizon=SHRINKING if self.hours is None else RECEDING,
            scenarios=self.scenarios,
            robust_horizon=self.robust_horizon,
            advanced_step=self.advanced_step,
            time_limit=self.time_limit,
        )

    def __getstate__(self) -> dict[str, Any]:
        return {known.name: getattr(self, known.name) for known in fields(self)}

    def solve(self, task: int) -> ClosedLoop:
        """Run one batch, as a worker does.

        Parameters
        ----------
        task
            Seed of the noise.

        Returns
        -------
        ClosedLoop
        """
        return self.run(task)


def run_campaign(
    batch: ControlledBatch,
    seeds: Sequence[int],
    *,
    folder: str | Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Campaign:
    """Run a batch under control with many seeds.

    Parameters
    ----------
    batch
        The batch.
    seeds
        Seeds of the noise, all different.
    folder
        Folder in which every closed loop is saved when it is done; a campaign that was ended continues there, and comes to
        the same table, but for the seconds. By default nothing is saved.
    workers
        Processes; 1 is this one.
    scheduler
        Address of a running Dask scheduler; its workers run the batches then.
    progress
        Called with (done, total) after every batch.

    Returns
    -------
    Campaign
        In the order of ``seeds``.

    Raises
    ------
    StudyError
        If there are no seeds, two are the same, or the folder holds another campaign.
    SolverError
        If the integration of a plant fails, or workers die again and again.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, elements=2), {"feed": (0.0, 0.1)})
    >>> cell = load_surrogate("ecoli_ijo1366")
    >>> campaign = run_campaign(ControlledBatch(problem, cell, cell, 1.0, noise={"biomass": 0.01}), range(3))
    >>> campaign.violating, int(campaign.fallbacks.sum())
    (0, 0)
    """
    if not isinstance(batch, ControlledBatch):
        raise StudyError(f"batch is {shown(batch)}; give a ControlledBatch")
    if folder is not None and not isinstance(folder, str | Path):
        raise StudyError(f"folder is {shown(folder)}; give the path of a folder")
    numbers = _numbers(seeds)
    saved = _Saved(None if folder is None else Path(folder), batch)
    loops = {seed: loop for seed in numbers if (loop := saved.loop(seed)) is not None}
    waiting = {seed: seed for seed in numbers if seed not in loops}
    if progress is not None:
        progress(len(loops), len(numbers))
    loops_of_rest = solved(batch, waiting, lambda seed: f"the batch of seed {seed}", "run_campaign", workers, scheduler)
    for seed, loop in loops_of_rest:
        loops[seed] = saved.keep(seed, loop)
        if progress is not None:
            progress(len(loops), len(numbers))
    return campaign_of(batch.counted, {seed: loops[seed] for seed in numbers})


def _numbers(seeds: Sequence[int]) -> list[int]:
    try:
        numbers = [index(seed) for seed in seeds]
    except TypeError:
        numbers = []
    if not numbers or len(set(numbers)) != len(numbers) or min(numbers) < 0:
        raise StudyError(f"seeds is {shown(seeds)}; give different whole numbers from 0 on, such as range(20)")
    return numbers


class _Saved:
    """The closed loops of a campaign in a folder, if there is one."""

    def __init__(self, folder: Path | None, batch: ControlledBatch) -> None:
        self._folder = folder
        if folder is None:
            return
        mark, known = {"batch": digest(repr(content_of(batch)))}, folder / _FINGERPRINT
        if known.exists() and json.loads(known.read_text()) != mark:
            raise StudyError(f"{folder} holds a campaign of another batch; give another folder, or remove this one")
        write_whole(known, lambda file: file.write_text(json.dumps(mark)))

    def _file(self, seed: int) -> Path | None:
        return None if self._folder is None else self._folder / f"seed_{seed}.nc"

    def loop(self, seed: int) -> ClosedLoop | None:
        """The saved loop of a seed; None if there is none."""
        file = self._file(seed)
        return load_closed_loop(file) if file is not None and file.exists() else None

    def keep(self, seed: int, loop: ClosedLoop) -> ClosedLoop:
        """Save a loop, and return it."""
        if (file := self._file(seed)) is not None:
            loop.save(file)
        return loop
