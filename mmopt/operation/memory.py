"""What a controller and an estimator keep from one step to the next, as numbers, texts and arrays.

A controller or estimator of the same settings that is given a memory continues as the one that it is of: the values and
multipliers from which Ipopt starts are in it, so that moves are the same to the last bit. What was compiled is not.
"""

from collections import deque
from dataclasses import fields
from typing import Any, Final

import numpy as np

from mmopt.control.controller import Controller
from mmopt.control.estimator import Estimator, _Interval, _Repeated
from mmopt.control.fallbacks import Fallbacks, GrowingControl
from mmopt.control.limits_first import LimitsFirst
from mmopt.control.moving_horizon import MovingHorizonEstimator
from mmopt.control.step_program import USUAL
from mmopt.errors import StudyError
from mmopt.estimation.filter import Estimate
from mmopt.io.seal import digest
from mmopt.parallel.own_process import OwnProcess
from mmopt.plan.plan import profile_of
from mmopt.problem.content import content_of
from mmopt.results import Trajectory, trajectory
from mmopt.search.between_points import BetweenPoints
from mmopt.solvers.ipopt import NonlinearProgram, bounds_of, set_values, values_of
from mmopt.status import Status

Memory = dict[str, Any]

_FORMAT: Final = "1"
"""Changes where the memory of an earlier version of mmopt cannot be continued."""

_DIGITS: Final = 12

_OF_FALLBACKS: Final = ("failed", "held", "near", "why", "none_keeps")


def controller_memory(controller: Controller) -> Memory:
    """Return what a controller keeps between two steps.

    Parameters
    ----------
    controller
        The controller.

    Returns
    -------
    dict

    Examples
    --------
    >>> from mmopt.operation.memory import controller_memory
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, elements=2), {"feed": (0.0, 0.1)})
    >>> sorted(controller_memory(Controller(problem, load_surrogate("ecoli_textbook"), interval=1.0)))
    ['fallbacks', 'last', 'plan', 'profiles', 'solver', 'volume']
    """
    profiles = {
        name: [list(getattr(profile, known.name)) for known in fields(profile)]  # type: ignore[arg-type]
        for name, profile in controller._profiles.items()
    }
    return {
        "plan": None if controller._plan is None else _of_trajectory(controller._plan),
        "profiles": profiles,
        "last": dict(controller._last),
        "fallbacks": _of_fallbacks(controller._fallbacks),
        "volume": controller._volume,
        "solver": _of_solver(controller._solver),
    }


def restore_controller(controller: Controller, memory: Memory) -> bool:
    """Let a controller continue from a memory, and return whether its solver does, too.

    Parameters
    ----------
    controller
        A controller of the same problem.
    memory
        What `controller_memory` returned.

    Returns
    -------
    bool
        False where the controller has another kind of solver than that of one problem: that begins from the plan alone.

    Raises
    ------
    StudyError, KeyError, TypeError, ValueError
        If the memory is that of another problem, or damaged.
    """
    controls = controller.problem.controls
    profiles = {
        name: profile_of(controls[name].shape, tuple(edges), tuple(values))
        for name, (edges, values) in memory["profiles"].items()
    }
    plan = None if memory["plan"] is None else _trajectory_of(memory["plan"])
    _restore_solver(controller._solver, memory["solver"])
    controller._plan, controller._profiles = plan, profiles
    controller._last, controller._volume = dict(memory["last"]), memory["volume"]
    _restore_fallbacks(controller._fallbacks, memory["fallbacks"])
    return memory["solver"] is not None


def _of_fallbacks(fallbacks: Fallbacks) -> Memory:
    feeds = {name: [feed.size, feed.start, feed.end] for name, feed in fallbacks._feed.items()}
    return {"feeds": feeds, **{name: getattr(fallbacks, f"_{name}") for name in _OF_FALLBACKS}}


def _restore_fallbacks(fallbacks: Fallbacks, memory: Memory) -> None:
    controls = fallbacks._problem.controls
    fallbacks._feed = {name: GrowingControl(controls[name], *feed) for name, feed in memory["feeds"].items()}
    for name in _OF_FALLBACKS:
        setattr(fallbacks, f"_{name}", memory[name])


def _of_trajectory(plan: Trajectory) -> Memory:
    kinds = {name: kind for kind in ("state", "control", "rate", "derived") for name in plan.names(kind)}
    values = {name: [kind, str(plan.data[name].attrs["units"]), plan[name]] for name, kind in kinds.items()}
    order = [str(name) for name in plan.data.data_vars]
    return {"time": plan.time, "values": [[name, *values[name]] for name in order], "status": plan.status.name}


def _trajectory_of(memory: Memory) -> Trajectory:
    values = {name: (kind, unit, array) for name, kind, unit, array in memory["values"]}
    return trajectory(memory["time"], values, Status[memory["status"]])


def _of_solver(solver: Any) -> Memory | None:
    """Values, bounds and multipliers of the program; None of a solver that is restored from the plan alone."""
    if not isinstance(solver, LimitsFirst) or not isinstance(solver._compiled.ipopt, NonlinearProgram):
        return None
    program = solver._compiled.ipopt
    lower, upper = bounds_of(program._variables)
    return {
        "missed": solver._missed,
        "ways": [USUAL.index(way) for way in solver._ways],
        "between": {"edges": solver._between.edges, "amounts": dict(solver._between.amounts)},
        "values": values_of(program._variables),
        "lower": lower,
        "upper": upper,
        "multipliers": dict(program._compiled._multipliers),
    }


def _restore_solver(solver: Any, memory: Memory | None) -> None:
    if (
        memory is None
        or not isinstance(solver, LimitsFirst)
        or not isinstance(solver._compiled.ipopt, NonlinearProgram)
    ):
        return
    program = solver._compiled.ipopt
    variables, size = program._variables, program.size
    for name in ("values", "lower", "upper"):
        _check_shape(memory[name], (len(variables),))
    shapes = {"lam_g0": (size[1], 1), "lam_x0": (size[0], 1)}
    multipliers = {name: _check_shape(memory["multipliers"][name], shapes[name]) for name in memory["multipliers"]}
    ways = tuple(USUAL[number] for number in memory["ways"])
    edges, amounts = memory["between"]["edges"], memory["between"]["amounts"].items()
    shape = (max(0, len(edges) - 1),)
    between = BetweenPoints(edges, {name: _check_shape(amount, shape) for name, amount in amounts})
    set_values(variables, memory["values"])
    for variable, low, high in zip(variables, memory["lower"].tolist(), memory["upper"].tolist(), strict=True):
        variable.setlb(None if low == -np.inf else low)
        variable.setub(None if high == np.inf else high)
    program._compiled._multipliers = multipliers
    pushes = program._compiled.bound_multipliers
    program._bounds_push = {} if pushes is None else dict(zip(map(id, variables), pushes.tolist(), strict=True))
    solver._missed, solver._ways, solver._between = int(memory["missed"]), ways, between


def estimator_memory(estimator: Estimator) -> Memory:
    """Return what an estimator keeps between two steps: the estimate, and the past for values that arrive late.

    Parameters
    ----------
    estimator
        The estimator.

    Returns
    -------
    dict

    Examples
    --------
    >>> from mmopt.operation.memory import estimator_memory
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> estimator = Estimator(ecoli_fed_batch(), load_surrogate("ecoli_textbook"), start, {"biomass": 0.02})
    >>> estimator_memory(estimator)["time"]
    0.0
    """
    return {
        "time": estimator.time,
        "now": _of_estimate(estimator._now),
        "before": _of_estimate(estimator._before),
        "extra": estimator._extra,
        "measured": dict(estimator._measured),
        "controls": dict(estimator._controls),
        "past": [
            {**{known.name: getattr(one, known.name) for known in fields(one)}, "before": _of_estimate(one.before)}
            for one in estimator._past
        ],
        "repeated": {name: [one.value, one.expected, one.times] for name, one in estimator._repeated.items()},
        "far": {name: [width, above] for name, (width, above) in estimator._far.items()},
        "nodes": [[time, node] for time, node in getattr(estimator, "_nodes", {}).items()],
    }


def restore_estimator(estimator: Estimator, memory: Memory) -> None:
    """Let an estimator continue from a memory.

    Parameters
    ----------
    estimator
        An estimator of the same settings.
    memory
        What `estimator_memory` returned.

    Raises
    ------
    StudyError, KeyError, TypeError, ValueError
        If the memory is that of another estimator, or damaged.
    """
    shape = estimator._now.mean.shape
    now, before = (_estimate_of(memory[name], shape) for name in ("now", "before"))
    extra = _check_shape(memory["extra"], shape * 2)
    past = [_Interval(**{**one, "before": _estimate_of(one["before"], shape)}) for one in memory["past"]]
    repeated = {name: _Repeated(*given) for name, given in memory["repeated"].items()}
    nodes = {time: _check_shape(node, shape) for time, node in memory["nodes"]}
    estimator._now, estimator._before, estimator._extra = now, before, extra
    estimator._measured, estimator._controls = dict(memory["measured"]), dict(memory["controls"])
    estimator._past = deque(past, maxlen=estimator._past.maxlen)
    estimator._repeated, estimator.time = repeated, float(memory["time"])
    estimator._far = {name: (width, above) for name, (width, above) in memory["far"].items()}
    if isinstance(estimator, MovingHorizonEstimator):
        estimator._nodes = nodes


def _of_estimate(estimate: Estimate) -> list[np.ndarray]:
    return [estimate.mean, estimate.covariance]


def _estimate_of(memory: list[np.ndarray], shape: tuple[int, ...]) -> Estimate:
    mean, covariance = memory
    return Estimate(_check_shape(mean, shape), _check_shape(covariance, shape * 2))


def _check_shape(array: Any, shape: tuple[int, ...]) -> np.ndarray:
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise StudyError(f"the memory has an array of another shape than {shape}")
    return array


def facts_of(controller: Controller, estimator: Estimator | None) -> dict[str, str]:
    """Return what a memory belongs to.

    Parameters
    ----------
    controller
        The controller.
    estimator
        The estimator, or None.

    Returns
    -------
    dict
        Texts by name; the beginning of a SHA-256 for what is large.

    Examples
    --------
    >>> from mmopt.operation.memory import facts_of
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, elements=2), {"feed": (0.0, 0.1)})
    >>> facts = facts_of(Controller(problem, load_surrogate("ecoli_textbook"), interval=1.0), None)
    >>> facts["interval"], facts["horizon"], facts["estimator"]
    ('1.0 h', 'shrinking', 'none')
    """
    return {
        "format": _FORMAT,
        "problem": _mark(controller.problem),
        "surrogate": _mark(controller.surrogate),
        "interval": f"{controller.interval!r} h",
        "horizon": controller.horizon,
        "solver": _kind_of(controller._solver),
        "estimator": "none" if estimator is None else f"{type(estimator).__name__} {_mark(_settings(estimator))}",
    }


def _kind_of(solver: Any) -> str:
    """The kind of a solver, with its scenarios."""
    if isinstance(solver, OwnProcess):
        _, _, scenarios, *_ = solver._build.args  # type: ignore[attr-defined]
        return f"OwnProcess {_mark(scenarios)}"
    return f"{type(solver).__name__} {_mark(getattr(solver, 'settings', None))}"


def _settings(estimator: Estimator) -> list[Any]:
    equations = estimator._filter
    settings = [getattr(estimator, "horizon", None), estimator._noise, estimator._drifting, equations._drift]
    return [*settings, equations._fixed, equations._system, equations._metabolism]


def _mark(value: Any) -> str:
    return digest(repr(content_of(value)))[:_DIGITS]
