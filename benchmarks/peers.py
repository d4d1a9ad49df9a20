"""The same problem in mmopt, in do-mpc and in plain CasADi: same network, collocation, tolerances, linear solver and start.

    pip install do-mpc
    python benchmarks/peers.py

A fed-batch of *E. coli* on 20 elements of 3 Radau points, with networks of three sizes for iJO1366. Every way is built, solved
from the plan of another batch (5 % less biomass), and solved again for ten other starts of the batch (biomass and glucose off
by up to 2 %), all ways in turn for each of them, so that a busy machine is busy for all. From a simulated feed instead, ways
end in different local optima, up to 10 % apart. do-mpc comes as it is, and tuned: with the options of Ipopt that mmopt takes
for a first and for a warm solve, and both kinds of symbols. Results go into ``results/peers.json``.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import casadi
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.by_hand import FAST, SLOW, ByHand
from mmopt import Atlas, Bioreactor, Domain, Horizon, Problem, Surrogate, ecoli_fed_batch, optimise, read_network, train
from mmopt.search import OptimiseOptions
from mmopt.transcription import CompiledProblem
from mmopt.transcription.equations import state_at

try:
    import do_mpc
except ImportError:
    sys.exit("this benchmark needs do-mpc, which mmopt does not: pip install do-mpc")

TARGET = Path(__file__).parent / "results" / "peers.json"
ELEMENTS, POINTS, HOURS = 20, 3, 12.0
SIZES = {"2-16-16": (2, (16, 16)), "2-32-32": (2, (32, 32)), "3-64": (3, (64,))}
"""Inputs, then hidden widths."""

CHANGES, BY = 10, 0.02
"""How many other starts, and by what part their biomass and glucose are off at most."""

BEFORE = 0.95
"""Biomass of the batch whose plan all begin from, in parts of that of this one."""

QUIET = {"print_time": False}
OPTIONS = ("linear_solver", "tol", "acceptable_tol", "max_iter")
"""What all give Ipopt, so that problem and end are the same."""

START = {"volume": 2.0, "biomass": 0.25, "glucose": 2.0, "acetate": 0.0, "oxygen": 0.2}
LIMITS = {"oxygen": (0.042, None), "acetate": (None, 2.0), "volume": (None, 3.0)}
"""Dissolved oxygen at least 20 % of saturation [mmol/L], acetate [g/L], volume [L]."""


class Answer(NamedTuple):
    """What a solve came to."""

    iterations: int
    objective: float
    ending: str


class Way(Protocol):
    """One way to write and solve the problem."""

    def first(self) -> None:
        """Solve from the common start."""

    def again(self, start: dict[str, float]) -> None:
        """Solve for another start of the batch, from the last answer."""

    def answer(self) -> Answer:
        """What the last solve came to."""


class Case:
    """The problem, who answers for the cell, and the trajectory all begin from."""

    def __init__(self, surrogate: Surrogate) -> None:
        reactor = ecoli_fed_batch()
        if len(surrogate.inputs) == 2:  # acetate is secreted and not eaten again
            species = (replace(each, uptake=None) if each.name == "acetate" else each for each in reactor.species)
            reactor = Bioreactor(tuple(species), reactor.aeration)
        self.problem = Problem(reactor, START, Horizon(HOURS, ELEMENTS, POINTS), {"feed": (0.0, 0.1)}, LIMITS)
        self.surrogate = surrogate
        earlier = replace(self.problem, initial={**START, "biomass": BEFORE * START["biomass"]})
        self.guess = optimise(earlier, surrogate, options=OptimiseOptions(guesses=4)).trajectory

    @cached_property
    def compiled(self) -> CompiledProblem:
        """mmopt's own problem, from which others take bounds of states and options of Ipopt."""
        return CompiledProblem(self.problem, self.surrogate)

    @property
    def floor(self) -> float:
        """How far scaled states may fall in mmopt's program."""
        program = self.compiled.program.pyomo
        return float(state_at(program, "glucose", program.inner.last()).lb)

    def changes(self, states: Mapping[str, Any], feed: Any) -> dict[str, Any]:
        """Derivatives of all states in their units, for CasADi's symbols."""
        system = self.problem.system
        return system.derivative(states, {"feed": feed}, system.defaults, self._cell)

    def _cell(self, limits: Mapping[str, Any]) -> dict[str, Any]:
        names = self.problem.system.readings
        values = casadi.vertcat(*(limits[exchange] for exchange in self.surrogate.inputs))
        for layer in self.surrogate.layers(names):
            values = _ACTIVATIONS[layer.activation](casadi.mtimes(layer.weights.T, values) + layer.bias)
        return dict(zip(names, casadi.vertsplit(values), strict=True))


_ACTIVATIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "tanh": casadi.tanh,
    "linear": lambda z: z,
    "softplus": lambda z: casadi.fmax(z, 0.0) + casadi.log1p(casadi.exp(-casadi.fabs(z))),
}


class Ours:
    """mmopt, with one of its ways to write the network."""

    def __init__(self, case: Case, formulation: str) -> None:
        self._case = case
        self._compiled = CompiledProblem(case.problem, case.surrogate, formulation=formulation)

    def first(self) -> None:
        self._compiled.start(self._case.guess)
        self._compiled.solve()

    def again(self, start: dict[str, float]) -> None:
        self._compiled.change(initial=start)
        self._compiled.solve(warm=True)

    def answer(self) -> Answer:
        solve = self._compiled.solves[-1]
        return Answer(solve.iterations, solve.objective, solve.ending)


class Plain:
    """CasADi by hand: all expressions scalar, or the equations of a point as a function mapped over all points."""

    def __init__(self, case: Case, *, mapped: bool) -> None:
        self._case, self._expand = case, not mapped
        self._hand = hand = ByHand(case.problem)
        x, z, u = casadi.SX.sym("x", len(SLOW)), casadi.SX.sym("z"), casadi.SX.sym("u")
        change = case.changes(hand.named(x, z), u * case.problem.scales["feed"])
        point = casadi.Function("point", [x, z, u], [*hand.slopes(change)])
        slopes, settles = point.map(hand.count)(hand.inner, hand.fast, hand.feeds)
        begin = casadi.MX.sym("begin", len(SLOW))
        rows = casadi.veccat(hand.gaps(begin, slopes), settles)
        self._given = {"x": hand.variables, "p": begin, "f": hand.cost, "g": rows}
        self._bounds = hand.bounded(case.floor)
        self._solvers = [self._solver(warm=warm) for warm in (False, True)]

    def _solver(self, *, warm: bool) -> Any:
        options = {"ipopt": self._case.compiled.ipopt.options(warm=warm), "expand": self._expand, **QUIET}
        return casadi.nlpsol("plain", "ipopt", self._given, options)

    def first(self) -> None:
        self._solve(0, self._case.problem.start_values, x0=np.clip(self._hand.start(self._case.guess), *self._bounds))

    def again(self, start: dict[str, float]) -> None:
        last = self._last
        self._solve(1, start, x0=last["x"], lam_x0=last["lam_x"], lam_g0=last["lam_g"])

    def answer(self) -> Answer:
        return Answer(self._told["iter_count"], float(self._last["f"]), self._told["return_status"])

    def _solve(self, which: int, start: Mapping[str, float], **more: Any) -> None:
        solver, (low, high) = self._solvers[which], self._bounds
        self._last = solver(p=self._hand.scaled(start), lbx=low, ubx=high, lbg=0.0, ubg=0.0, **more)
        self._told = solver.stats()


class DoMpc:
    """do-mpc, as it is or with the options of Ipopt that mmopt takes."""

    def __init__(self, case: Case, *, symbols: str = "SX", tuned: bool = False) -> None:
        self._case, self._symbols, self._tuned = case, symbols, tuned
        self._hand = ByHand(case.problem)
        self._cold = self._now = self._made(warm=False)
        self._warm = self._made(warm=True) if tuned else self._cold

    def first(self) -> None:
        case, mpc, hand = self._case, self._cold, self._hand
        feed = hand.held(case.guess)
        for k, points in enumerate(hand.times):
            begin = k * HOURS / ELEMENTS
            for j, t in enumerate([*points, points[-1], points[-1]]):  # do-mpc has the end of an element three times
                mpc.opt_x_num["_x", k + 1, 0, j] = [float(hand.at(case.guess, name, t)) for name in SLOW]
            for j, t in enumerate([begin, *points]):
                mpc.opt_x_num["_z", k, 0, j] = float(hand.at(case.guess, FAST, t))
            mpc.opt_x_num["_u", k, 0] = feed[k]
        mpc.opt_x_num["_x", 0, 0, -1] = hand.begin
        self._step(mpc, case.problem.start_values)
        if self._warm is not mpc:
            self._warm.opt_x_num.master = mpc.opt_x_num.master
            self._warm.lam_g_num, self._warm.lam_x_num = mpc.lam_g_num, mpc.lam_x_num
            self._warm.flags["initial_run"] = True

    def again(self, start: dict[str, float]) -> None:
        self._step(self._warm, start)

    def answer(self) -> Answer:
        told, given = self._now.solver_stats, self._now.nlp
        worth = casadi.Function("worth", [given["x"], given["p"]], [given["f"]])
        return Answer(told["iter_count"], float(worth(self._now.opt_x_num, self._now.opt_p_num)), told["return_status"])

    def _step(self, mpc: Any, start: Mapping[str, float]) -> None:
        self._now = mpc
        mpc.make_step(np.array([start[name] for name in SLOW]))

    def _made(self, *, warm: bool) -> Any:
        case, hand = self._case, self._hand
        scales = case.problem.scales
        cell = do_mpc.model.Model("continuous", self._symbols)
        states = {name: cell.set_variable("_x", name) for name in SLOW}
        states[FAST] = cell.set_variable("_z", FAST)
        feed = cell.set_variable("_u", "feed")
        cell.set_variable("_tvp", "jumps")
        change = case.changes(states, feed)
        for name in SLOW:
            cell.set_rhs(name, change[name])
        cell.set_alg("settles", change[FAST] / scales[FAST])
        cell.setup()
        mpc = do_mpc.controller.MPC(cell)
        mpc.set_param(n_horizon=ELEMENTS, t_step=HOURS / ELEMENTS, collocation_deg=POINTS, store_lagr_multiplier=False)
        mpc.settings.nlpsol_opts = {**self._options(warm=warm), **QUIET}
        mpc.set_objective(mterm=-hand.worth(cell.x["volume"], cell.x["biomass"]), lterm=casadi.DM(0))
        # the feed before comes scaled, that of now does not; and a first jump, from before the batch, costs nothing here
        jump = cell.u["feed"] / scales["feed"] - mpc.u_prev["feed"]
        mpc.set_rterm(cell.tvp["jumps"] * hand.move_penalty * jump**2)
        for kind, name in [*(("_x", name) for name in SLOW), ("_z", FAST), ("_u", "feed")]:
            mpc.scaling[kind, name] = scales[name]
            low, high = hand.bounds(name, case.floor) if kind != "_u" else hand.range
            mpc.bounds["lower", kind, name], mpc.bounds["upper", kind, name] = low * scales[name], high * scales[name]
        weights = mpc.get_tvp_template()
        weights["_tvp", :, "jumps"] = 1.0
        weights["_tvp", 0, "jumps"] = 0.0
        mpc.set_tvp_fun(lambda _: weights)
        mpc.setup()
        lows, highs = zip(*(hand.bounds(name, case.floor) for name in SLOW), strict=True)
        # limits hold at the points of the last element, too, and not at the start
        for point in range(POINTS + 2):
            mpc.lb_opt_x["_x", ELEMENTS, 0, point] = list(lows)
            mpc.ub_opt_x["_x", ELEMENTS, 0, point] = list(highs)
        mpc.lb_opt_x["_z", 0, 0, 0], mpc.ub_opt_x["_z", 0, 0, 0] = -np.inf, np.inf
        mpc.flags["set_initial_guess"] = True
        return mpc

    def _options(self, *, warm: bool) -> dict[str, Any]:
        """All of mmopt's options of Ipopt, or what makes problem and end the same."""
        options = self._case.compiled.ipopt.options(warm=warm)
        kept = options if self._tuned else [*OPTIONS, "print_level", "sb"]
        return {f"ipopt.{name}": options[name] for name in kept}


def ways(case: Case) -> dict[str, Callable[[], Way]]:
    """How each way is made."""
    return {
        "mmopt, grey box": partial(Ours, case, "grey_box"),
        "mmopt, OMLT reduced": partial(Ours, case, "reduced_space"),
        "mmopt, OMLT full": partial(Ours, case, "full_space"),
        "CasADi, scalar": partial(Plain, case, mapped=False),
        "CasADi, mapped": partial(Plain, case, mapped=True),
        "do-mpc": partial(DoMpc, case),
        "do-mpc tuned, SX": partial(DoMpc, case, tuned=True),
        "do-mpc tuned, MX": partial(DoMpc, case, symbols="MX", tuned=True),
    }


def compared(surrogate: Surrogate) -> dict[str, Any]:
    """All ways on the problem with one network: seconds, iterations, objectives, ratios."""
    case = Case(surrogate)
    made: dict[str, Way] = {}
    rows: dict[str, dict[str, Any]] = {}
    _ = case.compiled
    for name, make in ways(case).items():
        begun = time.perf_counter()
        made[name] = make()
        built = time.perf_counter()
        made[name].first()
        solved = time.perf_counter()
        told = made[name].answer()
        rows[name] = {
            "build": built - begun,
            "first": solved - built,
            "iterations": told.iterations,
            "objective": told.objective,
            "ending": told.ending,
            "warm": [],
            "warm_iterations": [],
            "warm_objectives": [],
            "warm_endings": [],
        }
        print(
            f"  {name:20} {told.iterations:4d} {told.objective:.9f} {built - begun:7.2f} {solved - built:7.2f}",
            flush=True,
        )
    random = np.random.default_rng(0)
    for _ in range(CHANGES):
        changed = {name: START[name] * (1.0 + random.uniform(-BY, BY)) for name in ("biomass", "glucose")}
        for name, way in made.items():
            begun = time.perf_counter()
            way.again({**START, **changed})
            rows[name]["warm"].append(time.perf_counter() - begun)
            told = way.answer()
            for key, value in zip(("iterations", "objectives", "endings"), told, strict=True):
                rows[name][f"warm_{key}"].append(value)
    return {"ways": rows, **summed(rows)}


def summed(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How far objectives are apart, and mmopt's warm re-solve against the others."""
    ours = rows["mmopt, grey box"]
    warm = {name: float(np.median(row["warm"])) for name, row in rows.items()}
    best = min(each["objective"] for each in rows.values())
    apart = {name: abs(row["objective"] / best - 1.0) for name, row in rows.items()}
    apart_warm = {
        name: float(np.max(np.abs(np.array(row["warm_objectives"]) / np.array(ours["warm_objectives"]) - 1.0)))
        for name, row in rows.items()
    }
    tuned = min(seconds for name, seconds in warm.items() if name.startswith("do-mpc tuned"))
    return {
        "objectives_apart": apart,
        "warm_objectives_apart": apart_warm,
        "warm_median": warm,
        "do-mpc tuned to mmopt": tuned / warm["mmopt, grey box"],
        "do-mpc to mmopt": warm["do-mpc"] / warm["mmopt, grey box"],
    }


def surrogates() -> dict[str, Surrogate]:
    """Networks of the wanted sizes for iJO1366."""
    uptakes = {"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0), "EX_ac_e": (0.0, 4.0)}
    found: dict[str, Surrogate] = {}
    for name, (inputs, hidden) in SIZES.items():
        atlas = Atlas(read_network("iJO1366"), Domain(dict(list(uptakes.items())[:inputs])))
        found[name] = train(atlas, hidden=hidden, seed=0)
    return found


def main() -> None:
    results = {}
    for name, surrogate in surrogates().items():
        print(f"\n{name}", flush=True)
        results[name] = compared(surrogate)
        show(results[name])
        TARGET.write_text(json.dumps(results, indent=1) + "\n")


def show(found: Mapping[str, Any]) -> None:
    heads = ("build [s]", "first [s]", "iterations", "warm [ms]", "iterations", "apart", "apart, warm")
    print(f"  {'':20}" + "".join(f"{head:>13}" for head in heads))
    for name, row in found["ways"].items():
        numbers = (
            f"{row['build']:.2f}",
            f"{row['first']:.2f}",
            f"{row['iterations']}",
            f"{1e3 * found['warm_median'][name]:.1f}",
            f"{np.median(row['warm_iterations']):.0f}",
            f"{found['objectives_apart'][name]:.1e}",
            f"{found['warm_objectives_apart'][name]:.1e}",
        )
        print(f"  {name:20}" + "".join(f"{number:>13}" for number in numbers))
    print({key: value for key, value in found.items() if key.startswith("do-mpc")})


if __name__ == "__main__":
    main()
