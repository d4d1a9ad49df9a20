"""Plans read back from a file."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from mmopt.errors import StudyError
from mmopt.plan.active_limit import ActiveLimit
from mmopt.plan.plan import GuessRecord, Plan, SolveRecord
from mmopt.problem.choices import Choices
from mmopt.problem.problem import Problem
from mmopt.results import Trajectory, load_trajectory


def load_plan(path: str | Path, problem: Problem) -> Plan:
    """Read a plan that `Plan.save` wrote.

    Parameters
    ----------
    path
        The file.
    problem
        The problem that the plan solves; a file holds numbers, and no system.

    Returns
    -------
    Plan
        Without its replays; `Plan.replay` computes them.

    Raises
    ------
    StudyError
        If the file is missing, is no plan, or belongs to another problem.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(4.0, elements=4), {"feed": (0.0, 0.1)})
    >>> plan = optimise(problem, load_surrogate("ecoli_ijo1366"))
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = load_plan(plan.save(f"{folder}/plan.nc"), problem)
    >>> again.values == plan.values
    True
    """
    saved = load_trajectory(path)
    record = saved.stats.get("plan")
    if not isinstance(record, Mapping):
        raise StudyError(f"{path} is a trajectory, and no plan; give a file that Plan.save wrote")
    try:
        plan = _plan(saved, record, problem)
    except (KeyError, TypeError, ValueError) as error:
        raise StudyError(
            f"{path} is no plan of this problem ({error}); give the problem that it was saved for"
        ) from error
    if set(plan.values) != set(problem.controls):
        raise StudyError(f"{path} has the controls {', '.join(plan.values)}, the problem {', '.join(problem.controls)}")
    return plan


def _plan(saved: Trajectory, record: Mapping[str, Any], problem: Problem) -> Plan:
    mesh = tuple(record["mesh"])
    horizon = replace(problem.horizon, elements=len(mesh) - 1, mesh=mesh)
    known = {field.name for field in fields(SolveRecord)}
    solved = {name: value for name, value in record["record"].items() if name in known}
    solved["guesses"] = tuple(GuessRecord(**guess) for guess in solved["guesses"])
    solved["adaptation_gaps"] = tuple(solved["adaptation_gaps"])
    limits = ({**limit, "spans": tuple(map(tuple, limit["spans"]))} for limit in record["active_limits"])
    return Plan(
        replace(problem, horizon=horizon),
        Trajectory(saved.data, saved.status),
        {name: tuple(values) for name, values in record["values"].items()},
        Choices(**record["choices"]),
        float(record["objective"]),
        tuple(ActiveLimit(**limit) for limit in limits),
        SolveRecord(**solved),
    )
