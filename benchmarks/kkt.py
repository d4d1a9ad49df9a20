"""Optimal feeding with the cell's optimality conditions in the collocation, and with a surrogate of the same cell, in one run.

    python benchmarks/kkt.py [elements ...]

The published way to put flux balance analysis into a dynamic optimisation writes the optimality (KKT) conditions of the cell's
program at every collocation point: fluxes, duals of the balances, multipliers of bounds, and a complementarity for each, which
is relaxed or penalised. Here that is done by hand in CasADi for the textbook network, with a small quadratic price on fluxes
that makes the answer unique, from a simulated start whose fluxes and duals come from the linear program. Two treatments of
complementarity are tried: products no larger than a bound that falls step by step (Scholtes), and a price on their sum that
rises. mmopt solves the same fed-batch with the surrogate that ships, without and with the exact answer as judge. What each feed
gives in the end is read from a simulation on the exact answer. Results go into ``results/kkt.json``.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import casadi
import numpy as np
from scipy.optimize import linprog

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.by_hand import FAST, SLOW, ByHand
from mmopt import (
    Atlas,
    Domain,
    Horizon,
    Network,
    Problem,
    StepFeed,
    Surrogate,
    load_surrogate,
    optimise,
    read_network,
)
from mmopt.network.blocked import running_directions
from mmopt.problem import violated_limits
from mmopt.problem.simulator import Simulator
from mmopt.search.initial_guess import feasible_guess
from mmopt.study import read_study

ROOT = Path(__file__).parent.parent
STUDY = ROOT / "case_studies" / "textbook_fedbatch" / "study.yaml"
TARGET = Path(__file__).parent / "results" / "kkt.json"
ELEMENTS = (6, 12, 24)
POINTS: Final = 3
GROWTH_WEIGHT, SHORTFALL_WEIGHT, FLUX_PRICE = 20.0, 20.0, 2.0e-4
"""Of the cell's program; a missing mmol of ATP costs more than it could bring in growth."""

STEPS: Final = {"bound": (1.0e-1, 1.0e-2, 1.0e-3, 1.0e-4), "price": (10.0, 100.0)}
"""Of the product of multiplier and slack, or on it; a product of 1 is worth some 0.05 1/h of growth that the cell leaves."""

OPTIONS: Final = {
    "linear_solver": "mumps",
    "tol": 1.0e-6,
    "max_iter": 5000,
    "max_wall_time": 180.0,
    "mu_init": 1.0e-2,
    "print_level": 0,
    "sb": "yes",
}
"""Of each step; the tolerance is a hundred times looser than mmopt's."""


class Cell:
    """The cell's program min -growth + shortfall + fluxes² over net fluxes that run at all, and its optimality conditions."""

    def __init__(self, network: Network, inputs: tuple[str, ...]) -> None:
        lower, upper = network.lower.copy(), network.upper.copy()
        for name in inputs:
            lower[network.exchange(name)] = -np.inf
        forward, reverse = running_directions(network.stoichiometry, upper > 0.0, lower < 0.0)
        kept = np.flatnonzero(forward | reverse)
        self.names = [network.reactions[k] for k in kept]
        self.place = {name: k for k, name in enumerate(self.names)}
        self.growth, self.maintenance = self.place[network.biomass], self.place[str(network.maintenance)]
        self.demand = network.maintenance_demand
        matrix = network.stoichiometry[:, kept].toarray()
        self.matrix = matrix[np.abs(matrix).sum(axis=1) > 0.0]
        self.lower = np.where(reverse[kept], lower[kept], np.maximum(lower[kept], 0.0))
        self.upper = np.where(forward[kept], upper[kept], np.minimum(upper[kept], 0.0))
        self.lower[self.maintenance] = 0.0
        self.inputs = inputs

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Fluxes with the shortfall, balances, bounds with a multiplier."""
        return len(self.names) + 1, len(self.matrix), len(self._bounds(np.zeros(len(self.inputs))))

    def conditions(self, fluxes: Any, duals: Any, push: Any, limits: Any) -> tuple[Any, Any]:
        """Equations of balance and stationarity, and the slack of every bound."""
        net, short = fluxes[: len(self.names)], fluxes[len(self.names)]
        slope = FLUX_PRICE * net - casadi.mtimes(casadi.DM(self.matrix).T, duals)
        slope[self.growth] -= GROWTH_WEIGHT
        short_slope = SHORTFALL_WEIGHT
        slacks = []
        for k, (column, sign, bound) in enumerate(self._bounds(limits)):
            if column == len(self.names):
                slacks.append(short)
                short_slope -= push[k]
                continue
            both = column == self.maintenance and sign > 0
            slacks.append(sign * (net[column] - bound) + (short if both else 0.0))
            slope[column] -= sign * push[k]
            short_slope -= push[k] if both else 0.0
        return casadi.vertcat(casadi.mtimes(casadi.DM(self.matrix), net), slope, short_slope), casadi.vertcat(*slacks)

    def _bounds(self, limits: Any) -> list[tuple[int, float, Any]]:
        """Column, side (1 lowest, -1 highest) and value of every bound that can bind; the last column is the shortfall."""
        given = {self.place[name]: -limits[k] for k, name in enumerate(self.inputs)}
        found: list[tuple[int, float, Any]] = []
        for column in range(len(self.names)):
            if column in given:
                found.append((column, 1.0, given[column]))
            elif column == self.maintenance:
                found.append((column, 1.0, self.demand))
            elif np.isfinite(self.lower[column]):
                found.append((column, 1.0, self.lower[column]))
            if np.isfinite(self.upper[column]):
                found.append((column, -1.0, self.upper[column]))
        return [*found, (len(self.names), 1.0, 0.0)]

    def solved(self, limits: np.ndarray) -> np.ndarray:
        """Fluxes, duals and multipliers of the linear program, where fluxes have no price."""
        count = len(self.names)
        cost = np.zeros(count + 1)
        cost[self.growth], cost[count] = -GROWTH_WEIGHT, SHORTFALL_WEIGHT
        low, high = np.append(self.lower, 0.0), np.append(self.upper, np.inf)
        for k, name in enumerate(self.inputs):
            low[self.place[name]] = -max(0.0, float(limits[k]))
        wanted = np.zeros((1, count + 1))
        wanted[0, [self.maintenance, count]] = -1.0
        balance = np.hstack([self.matrix, np.zeros((len(self.matrix), 1))])
        low[self.maintenance] = -np.inf
        found = linprog(
            cost, wanted, [-self.demand], balance, np.zeros(len(balance)), bounds=np.column_stack([low, high])
        )
        push = []
        for column, sign, _ in self._bounds(limits):
            if column == self.maintenance and sign > 0:
                push.append(-found.ineqlin.marginals[0])
            else:
                push.append(found.lower.marginals[column] if sign > 0 else -found.upper.marginals[column])
        return np.concatenate([found.x, found.eqlin.marginals, np.maximum(push, 0.0)])


class Bilevel:
    """The fed-batch with the cell's optimality conditions at every point."""

    def __init__(self, problem: Problem, network: Network, surrogate: Surrogate) -> None:
        self.problem, self.cell = problem, Cell(network, surrogate.inputs)
        self.guess = feasible_guess(Simulator(problem, surrogate)).trajectory
        self._hand = hand = ByHand(problem)
        fluxes, duals, bounds = self.cell.sizes
        inside = casadi.MX.sym("cell", fluxes + duals + bounds, hand.count)
        slopes, settles, conditions, slacks = self._point().map(hand.count)(hand.inner, hand.fast, hand.feeds, inside)
        self._x = casadi.veccat(hand.variables, inside)
        self._equations = casadi.veccat(hand.gaps(hand.begin, slopes), settles, conditions)
        self._slacks, self._products = casadi.vec(slacks), casadi.vec(inside[fluxes + duals :, :] * slacks)
        low, high = hand.bounded(floor=0.0)
        of_cell = np.concatenate([np.full(fluxes + duals, -np.inf), np.zeros(bounds)])
        self._low = np.concatenate([low, np.tile(of_cell, hand.count)])
        self._high = np.concatenate([high, np.full(hand.count * len(of_cell), np.inf)])
        self._measure = casadi.Function("measure", [self._x], [hand.cost, casadi.mmax(casadi.fabs(self._products))])

    def _point(self) -> Any:
        """Slopes, settling, optimality conditions and slacks at one point."""
        system, problem = self.problem.system, self.problem
        fluxes, duals, bounds = self.cell.sizes
        x, z, u = casadi.SX.sym("x", len(SLOW)), casadi.SX.sym("z"), casadi.SX.sym("u")
        inside = casadi.SX.sym("cell", fluxes + duals + bounds)
        states = self._hand.named(x, z)
        limits = system.limits(states, system.defaults)
        equations, slacks = self.cell.conditions(
            inside[:fluxes],
            inside[fluxes : fluxes + duals],
            inside[fluxes + duals :],
            casadi.vertcat(*(limits[name] for name in self.cell.inputs)),
        )

        def answer(_: Mapping[str, Any]) -> dict[str, Any]:
            rates = {name: inside[k] for name, k in self.cell.place.items()}
            return {**rates, "growth": inside[self.cell.growth], "shortfall": inside[fluxes - 1]}

        change = system.derivative(states, {"feed": u * problem.scales["feed"]}, system.defaults, answer)
        return casadi.Function("point", [x, z, u, inside], [*self._hand.slopes(change), equations, slacks])

    def _start(self) -> np.ndarray:
        system, inside = self.problem.system, []
        for t in self._hand.times.ravel().tolist():
            states = {name: float(self.guess.at(name, t)) for name in (*SLOW, FAST)}
            limits = system.limits(states, system.defaults)
            inside.append(self.cell.solved(np.array([limits[name] for name in self.cell.inputs])))
        return np.concatenate([self._hand.start(self.guess), *inside])

    def solve(self, way: str) -> dict[str, Any]:
        """Solve with one treatment of complementarity, step by step, each from the answer before; compiled once."""
        begun = time.perf_counter()
        amount = casadi.MX.sym("amount")
        cost, more = self._hand.cost, casadi.MX(0, 1)
        if way == "bound":
            more = self._products - amount
        else:
            cost += amount * casadi.sum1(self._products)
        rows = casadi.vertcat(self._equations, self._slacks, more)
        equal, positive = np.zeros(self._equations.numel()), np.zeros(self._slacks.numel())
        low = np.concatenate([equal, positive, np.full(more.numel(), -np.inf)])
        high = np.concatenate([equal, positive + np.inf, np.zeros(more.numel())])
        solver = casadi.nlpsol(
            "kkt",
            "ipopt",
            {"x": self._x, "p": amount, "f": cost, "g": rows},
            {"ipopt": OPTIONS, "print_time": False, "expand": True},
        )
        built = time.perf_counter()
        values, endings, iterations, solved = np.clip(self._start(), self._low, self._high), [], 0, 0
        for step in STEPS[way]:
            found = solver(x0=values, p=step, lbx=self._low, ubx=self._high, lbg=low, ubg=high)
            told = solver.stats()
            endings.append(told["return_status"])
            iterations += told["iter_count"]
            if not told["success"]:
                break
            values, solved = np.array(found["x"]).ravel(), solved + 1
        aim, product = (float(each) for each in self._measure(values))
        return {
            "build": built - begun,
            "seconds": time.perf_counter() - begun,
            "iterations": iterations,
            "endings": endings,
            "steps": solved,
            "variables": int(self._x.numel()),
            "constraints": int(rows.numel()),
            "claimed": -aim * self.problem.quantities["biomass_amount"].scale if solved else None,
            "largest product": product,
            "feed": self._hand.feed_of(values),
        }


def confirmed(problem: Problem, feed: list[float], atlas: Atlas) -> dict[str, Any]:
    """What a feed gives on the exact answer, and by how much limits are broken there."""
    profile = StepFeed(tuple(problem.horizon.edges().tolist()), tuple(feed))
    made = Simulator(problem, atlas).run({"feed": profile}, points=500)
    return {"confirmed": problem.objective_value(made), "broken": violated_limits(made, problem.limits)}


def ours(problem: Problem, surrogate: Surrogate, atlas: Atlas, reference: Atlas | None) -> dict[str, Any]:
    """mmopt, from the surrogate on."""
    begun = time.perf_counter()
    plan = optimise(problem, surrogate, reference=reference)
    seconds = time.perf_counter() - begun
    feed = list(plan.values["feed"])
    return {
        "seconds": seconds,
        "iterations": plan.record.iterations,
        "variables": plan.record.variables,
        "constraints": plan.record.constraints,
        "endings": [plan.status.name],
        "claimed": plan.trajectory.final("biomass_amount"),
        "feed": feed,
        **confirmed(problem, feed, atlas),
    }


def compared(elements: int, network: Network, surrogate: Surrogate, atlas: Atlas) -> dict[str, Any]:
    """All ways on a mesh."""
    case = read_study(STUDY).problem
    least = case.limits["oxygen_saturation"][0] / 100.0 * case.system.defaults["saturation"]
    limits = {**case.limits, "oxygen": (least, None)}
    limits.pop("oxygen_saturation")
    problem = replace(case, horizon=Horizon(case.horizon.hours, elements, POINTS), limits=limits)
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "mmopt": lambda: ours(problem, surrogate, atlas, None),
        "mmopt, judged": lambda: ours(problem, surrogate, atlas, atlas),
    }
    for way in STEPS:
        ways[f"KKT, {way}"] = lambda way=way: _bilevel(problem, network, surrogate, atlas, way)
    rows = {}
    for name, run in ways.items():
        rows[name] = row = run()
        show(name, row)
    return rows


def _bilevel(problem: Problem, network: Network, surrogate: Surrogate, atlas: Atlas, way: str) -> dict[str, Any]:
    begun = time.perf_counter()
    bilevel = Bilevel(problem, network, surrogate)
    built = time.perf_counter() - begun
    row = bilevel.solve(way)
    row["seconds"] += built
    return {**row, **confirmed(problem, row["feed"], atlas)}


def show(name: str, row: Mapping[str, Any]) -> None:
    claimed = "none" if row["claimed"] is None else f"{row['claimed']:.3f}"
    broken = 100.0 * max(row["broken"].values(), default=0.0)
    print(
        f"  {name:16} {row['seconds']:8.2f} s {row['iterations']:6d} iterations {row['variables']:6d} variables, "
        f"claims {claimed:>7} g, the program gives {row['confirmed']:.3f} g, limits broken by {broken:.2f} %, "
        f"{row['endings'][-1]}",
        flush=True,
    )


def main() -> None:
    network, surrogate = read_network("textbook"), load_surrogate("ecoli_textbook")
    atlas = Atlas(
        network,
        Domain({name: (0.0, high) for name, high in zip(surrogate.inputs, surrogate.domain.upper, strict=True)}),
    )
    atlas.explore()
    results = {}
    for elements in [int(each) for each in sys.argv[1:]] or ELEMENTS:
        print(f"{elements} elements")
        results[str(elements)] = compared(elements, network, surrogate, atlas)
        TARGET.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
