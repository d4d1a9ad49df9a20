"""Moves of controllers beside those of do-mpc, on two of its documented examples: the same equations, collocation and weights.

    pip install do-mpc
    python benchmarks/do_mpc_moves.py [--moves N]

``batch``: the batch bioreactor, which maximises its product along a receding horizon with a price of moves. ``cstr``: the
stirred tank that tracks a concentration of 0.6 mol/L of B with two controls. The equations and constants are those of do-mpc's
documentation (https://www.do-mpc.com/en/latest/example_gallery/batch_reactor.html and CSTR.html beside it; Fiedler et al. 2023,
Control Eng. Pract. 140:105676). Both examples are nominal here (``n_robust=0``), their collocation has one element for every
move (``collocation_ni=1``), and the temperature of the tank has a hard limit, which do-mpc's example names as the alternative
to its soft one. The plant follows do-mpc's moves; both controllers read its states. The script ends with an error where a move
differs by more than 1e-4. Results go into ``results/do_mpc_moves.json``.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyomo.environ as pyo

sys.path.insert(0, str(Path(__file__).parents[1]))

from mmopt import Control, Controller, Horizon, Plant, Problem, System
from mmopt.problem import SetPoint, Tracking
from mmopt.reactor import Parameter, Quantity

try:
    import do_mpc
except ImportError:
    sys.exit("this benchmark needs do-mpc, which mmopt does not: pip install do-mpc")

TARGET: Final = Path(__file__).parent / "results" / "do_mpc_moves.json"
POINTS: Final = 2
"""Radau points of an element in both."""

AGREES: Final = 1.0e-4
"""Largest relative difference of a move."""

ZERO: Final = 1.0e-6
"""Fraction of the range of a control below which a move counts as that."""

TOLERANCES: Final = {"tol": 1.0e-13, "acceptable_iter": 0, "bound_relax_factor": 0.0}
"""Options of Ipopt in both. The objective hardly depends on the heat of the tank: with the default tolerance of 1e-8 its moves
differ by up to 8 %. A bound of zero that Ipopt relaxes is kept at zero by mmopt, and not by do-mpc."""

QUIET: Final = {"ipopt.print_level": 0, "ipopt.sb": "yes", "print_time": 0}


class BatchReactor(System):
    """Biomass, substrate, product and volume of a fed batch whose growth its substrate inhibits."""

    states = (
        Quantity("X_s", "g/L", lower=0.0),
        Quantity("S_s", "g/L", lower=-0.01),
        Quantity("P_s", "g/L", lower=0.0),
        Quantity("V_s", "m3", scale=100.0, lower=0.0),
    )
    controls = (Quantity("inp", "m3/min", scale=0.1, lower=0.0),)
    parameters = (Parameter("Y_x", 0.5, lower=0.1), Parameter("S_in", 200.0, "g/L", lower=1.0))

    def derivative(
        self, states: Mapping[str, Any], controls: Mapping[str, Any], parameters: Mapping[str, Any], cell: Any
    ) -> dict[str, Any]:
        """The four balances, per unit of time of the example."""
        biomass, substrate, product, volume = (states[name] for name in ("X_s", "S_s", "P_s", "V_s"))
        growth = 0.02 * substrate / (0.05 + substrate + substrate**2 / 5.0) * biomass
        formed, dilution = 0.004 * biomass, controls["inp"] / volume
        used = growth / parameters["Y_x"] + formed / 1.2
        return {
            "X_s": growth - dilution * biomass,
            "S_s": dilution * (parameters["S_in"] - substrate) - used,
            "P_s": formed - dilution * product,
            "V_s": controls["inp"],
        }


class StirredTank(System):
    """Two concentrations and two temperatures of a cooled tank in which A reacts to B, B to C, and A to D."""

    states = (
        Quantity("C_a", "mol/L", lower=0.1, upper=2.0),
        Quantity("C_b", "mol/L", lower=0.1, upper=2.0),
        Quantity("T_R", "degC", scale=100.0, lower=50.0),
        Quantity("T_K", "degC", scale=100.0, lower=50.0, upper=140.0),
    )
    controls = (Quantity("F", "1/h", scale=100.0), Quantity("Q_dot", "kJ/h", scale=2000.0))

    def derivative(
        self, states: Mapping[str, Any], controls: Mapping[str, Any], parameters: Mapping[str, Any], cell: Any
    ) -> dict[str, Any]:
        """Balances of A, B, heat of the tank and heat of the jacket."""
        a, b, tank, jacket = (states[name] for name in ("C_a", "C_b", "T_R", "T_K"))
        inflow, heat, kelvin = controls["F"], 4.2, tank + 273.15
        to_b, to_c = (1.287e12 * _exp(-9758.3 / kelvin) * amount for amount in (a, b))
        to_d = 9.043e9 * _exp(-8560.0 / kelvin) * a**2
        density, capacity, exchange = 0.9342, 3.01, 4032.0 * 0.215
        reaction = (to_b * heat - to_c * 11.0 - to_d * 41.85) / (-density * capacity)
        cooling = exchange * (jacket - tank) / (density * capacity * 10.01)
        return {
            "C_a": inflow * (5.1 - a) - to_b - to_d,
            "C_b": -inflow * b + to_b - to_c,
            "T_R": reaction + inflow * (130.0 - tank) + cooling,
            "T_K": (controls["Q_dot"] + exchange * (tank - jacket)) / (5.0 * 2.0),
        }


def _exp(value: Any) -> Any:
    """The exponential of a number, an array, or an expression of Pyomo or CasADi."""
    if hasattr(value, "is_expression_type") or hasattr(value, "is_variable_type"):
        return pyo.exp(value)
    return np.exp(value)


@dataclass(frozen=True)
class Example:
    """One example: the problem for mmopt, and the same for do-mpc."""

    problem: Problem
    interval: float
    stage: Callable[[Any], Any]
    """Stage and terminal cost from do-mpc's states."""
    scaled_moves: Mapping[str, float]
    """Price of a squared move in units of the control's scale, as do-mpc has it."""


def batch() -> Example:
    """The batch bioreactor: maximise the sum of the product along 20 intervals."""
    system, start = BatchReactor(), {"X_s": 1.0, "S_s": 0.5, "P_s": 0.0, "V_s": 120.0}
    tracking = Tracking(prices={"P_s": 1.0}, moves={"inp": 1.0}, before={"inp": 0.0}, summed="edges")
    problem = Problem(
        system,
        start,
        Horizon(20.0, 20, POINTS),
        {"inp": Control(0.0, 0.2, move_penalty=0.0)},
        {"X_s": (None, 3.7), "P_s": (None, 3.0)},
        tracking,
    )
    return Example(problem, 1.0, lambda states: -states["P_s"], {"inp": 0.1**2})


def cstr() -> Example:
    """The stirred tank: track 0.6 mol/L of B along 20 intervals of 0.005 h."""
    start = {"C_a": 0.8, "C_b": 0.5, "T_R": 134.14, "T_K": 130.0}
    tracking = Tracking(
        {"C_b": SetPoint(0.6)},
        moves={"F": 0.1 / 100.0**2, "Q_dot": 1.0e-3 / 2000.0**2},
        before={"F": 0.0, "Q_dot": 0.0},
        summed="edges",
    )
    problem = Problem(
        StirredTank(),
        start,
        Horizon(0.1, 20, POINTS),
        {"F": Control(5.0, 100.0, move_penalty=0.0), "Q_dot": Control(-8500.0, 0.0, move_penalty=0.0)},
        {"T_R": (None, 140.0)},
        tracking,
    )
    return Example(problem, 0.005, lambda states: (states["C_b"] - 0.6) ** 2, {"F": 0.1, "Q_dot": 1.0e-3})


EXAMPLES: Final[Mapping[str, Callable[[], Example]]] = {"batch": batch, "cstr": cstr}


def peer(example: Example) -> Any:
    """do-mpc's controller of an example; the equations are those of the system, called with its symbols."""
    problem = example.problem
    system = problem.system
    model = do_mpc.model.Model("continuous")
    states = {known.name: model.set_variable("_x", known.name) for known in system.states}
    controls = {known.name: model.set_variable("_u", known.name) for known in system.controls}
    for name, change in system.derivative(states, controls, system.defaults, lambda limits: {}).items():
        model.set_rhs(name, change)
    model.setup()
    mpc = do_mpc.controller.MPC(model)
    mpc.set_param(
        n_horizon=problem.horizon.elements,
        t_step=example.interval,
        n_robust=0,
        state_discretization="collocation",
        collocation_type="radau",
        collocation_deg=POINTS,
        collocation_ni=1,
        nlpsol_opts={**QUIET, **{f"ipopt.{name}": value for name, value in TOLERANCES.items()}},
    )
    for kind, quantities in (("_x", system.states), ("_u", system.controls)):
        for known in quantities:
            mpc.scaling[kind, known.name] = known.scale
    cost = example.stage(model.x)
    mpc.set_objective(mterm=cost, lterm=cost)
    mpc.set_rterm(**example.scaled_moves)
    for known in system.states:
        mpc.bounds["lower", "_x", known.name] = known.lower
        mpc.bounds["upper", "_x", known.name] = problem.limits.get(known.name, (None, known.upper))[1]
    for name, control in problem.controls.items():
        mpc.bounds["lower", "_u", name], mpc.bounds["upper", "_u", name] = control.low, control.high
    mpc.setup()
    mpc.x0 = np.array([problem.start_values[known.name] for known in system.states])
    mpc.set_initial_guess()
    return mpc


def compare(name: str, count: int) -> dict[str, Any]:
    """Moves of both along one plant."""
    example = EXAMPLES[name]()
    problem = example.problem
    mpc = peer(example)
    controller = Controller(problem, None, example.interval, horizon="receding", ipopt=TOLERANCES)
    plant = Plant(problem.system, None, problem.start_values)
    states, rows = problem.start_values, []
    for _ in range(count):
        before = time.perf_counter()
        given = mpc.make_step(np.array([states[known.name] for known in problem.system.states]).reshape(-1, 1))
        between = time.perf_counter()
        move = controller.step(plant.time, states)
        after = time.perf_counter()
        theirs = {known.name: float(given[k, 0]) for k, known in enumerate(problem.system.controls)}
        rows.append((theirs, move, between - before, after - between))
        span = plant.advance(theirs, example.interval)
        states = {known.name: span.final(known.name) for known in problem.system.states}
    worst = max(_difference(row[0][key], row[1].controls[key], problem.controls[key]) for row in rows for key in row[0])
    print(f"\n{name}: largest relative difference of {count} moves {worst:.1e}")
    for theirs, move, seconds, own in rows:
        values = ", ".join(f"{key} {value:.7g} / {move.controls[key]:.7g}" for key, value in theirs.items())
        print(
            f"  {values}  ({1e3 * seconds:.0f} / {1e3 * own:.0f} ms, {move.status.name} {move.fallback}{move.reason})"
        )
    return {
        "worst": worst,
        "do-mpc": [row[0] for row in rows],
        "mmopt": [dict(row[1].controls) for row in rows],
        "fallbacks": sum(bool(row[1].fallback) for row in rows),
        "ms": {way: 1e3 * float(np.median([row[k] for row in rows])) for k, way in ((2, "do-mpc"), (3, "mmopt"))},
    }


def _difference(theirs: float, ours: float, control: Control) -> float:
    """Difference of two moves, relative to the first."""
    return abs(theirs - ours) / max(abs(theirs), ZERO * (control.high - control.low))


def main() -> None:
    """Compare the examples, and write the results."""
    parser = argparse.ArgumentParser(description="Compare moves with do-mpc.")
    parser.add_argument("--moves", type=int, default=5, help="moves that are compared")
    count = parser.parse_args().moves
    results = {name: compare(name, count) for name in EXAMPLES}
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps({"do_mpc": do_mpc.__version__, **results}, indent=2) + "\n", encoding="utf-8")
    different = [name for name, result in results.items() if not result["worst"] <= AGREES or result["fallbacks"]]
    if different:
        sys.exit(f"moves differ by more than {AGREES:g} in {', '.join(different)}")


if __name__ == "__main__":
    main()
