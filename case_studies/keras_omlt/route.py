"""The route from a flux problem in Pyomo to a controller, with a network that Keras trained and OMLT embeds.

    python case_studies/keras_omlt/route.py

1. The flux program as a Pyomo problem, solved by HiGHS; the compiled program gives the same fluxes.
2. Fluxes over a domain, and a surrogate trained on them by Keras (TensorFlow).
3. The surrogate in a Pyomo block by OMLT: what it predicts there is what it predicts in NumPy.
4. A fed-batch discretised by Pyomo.DAE with that block at every collocation point, optimised by Ipopt, replayed on the
   exact fluxes.
5. A short closed loop with the same surrogate on a plant with less oxygen transfer.

The network is the core of *E. coli*, so that the script ends within 90 s. It ends in assertions.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyomo.environ as pyo

from mmopt import (
    Atlas,
    Bioreactor,
    Controller,
    Domain,
    Horizon,
    Network,
    OptimiseOptions,
    Plan,
    Plant,
    Problem,
    Surrogate,
    optimise,
    pfba,
    read_network,
    run_closed_loop,
    tabulate_fluxes,
    train,
)
from mmopt.control import ClosedLoop
from mmopt.fba import flux_problem
from mmopt.reactor import Aeration, Species, Uptake
from mmopt.surrogate import embed
from mmopt.training import worst_case_errors

GLUCOSE, OXYGEN = "EX_glc__D_e", "EX_o2_e"
DOMAIN: Final = Domain({GLUCOSE: (0.0, 11.0), OXYGEN: (0.0, 16.0)})
LIMITS: Final = {GLUCOSE: 8.0, OXYGEN: 12.0}
START: Final = {"volume": 2.0, "biomass": 1.0, "glucose": 2.0, "acetate": 0.0, "oxygen": 0.2}


def growth_by_pyomo(network: Network, limits: Mapping[str, float]) -> float:
    """Growth of the flux problem [1/h]: its first two objectives, one after the other, by HiGHS."""
    problem = flux_problem(network, list(limits))
    for name, limit in limits.items():
        problem.reverse[network.column(name)].setub(limit)
    solver = pyo.SolverFactory("appsi_highs")
    objectives = [problem.least_shortfall, problem.most_growth]
    for objective in problem.component_objects(pyo.Objective):
        objective.deactivate()
    problem.reached = pyo.ConstraintList()
    for objective in objectives:
        objective.activate()
        solver.solve(problem)
        problem.reached.add(objective.expr <= pyo.value(objective) + 1.0e-9)
        objective.deactivate()
    return -float(pyo.value(problem.most_growth.expr))


def trained_by_keras(atlas: Atlas) -> Surrogate:
    """Two hidden layers of ten units, and an output layer of non-negative weights on balanced flux modes."""
    table = tabulate_fluxes(atlas.network, atlas.domain, n=1024, seed=0, source=atlas)
    return train(table, hidden=(10, 10), iterations=60, trainer="keras", seed=0)


def embedded_rates(surrogate: Surrogate, limits: Mapping[str, float], names: list[str]) -> np.ndarray:
    """Rates of a surrogate that OMLT wrote into a Pyomo block."""
    problem = pyo.ConcreteModel()
    problem.limits = pyo.Var(list(limits), initialize=dict(limits))
    problem.cell = pyo.Block()
    rates = embed(problem.cell, surrogate, {name: problem.limits[name] for name in limits}, names)
    return np.array([pyo.value(rates[name]) for name in names])


def fed_batch() -> Problem:
    """Six hours of *E. coli* on glucose, with a limit on dissolved oxygen."""
    reactor = Bioreactor(
        (
            Species("glucose", GLUCOSE, molar_mass=180.156, uptake=Uptake(10.5, 0.05), fed=500.0),
            Species("acetate", "EX_ac_e", molar_mass=59.044),
            Species("oxygen", OXYGEN, "mmol/L", uptake=Uptake(15.0, 0.001), scale=0.1),
        ),
        Aeration(kla=300.0, saturation=0.21),
    )
    return Problem(
        reactor,
        START,
        Horizon(5.0, elements=10),
        {"feed": (0.0, 0.1)},
        limits={"oxygen_saturation": (20.0, None)},
    )


def optimum(problem: Problem, surrogate: Surrogate, atlas: Atlas) -> Plan:
    """Optimal feed, with OMLT's reduced-space formulation at every collocation point."""
    return optimise(problem, surrogate, reference=atlas, options=OptimiseOptions(formulation="reduced_space"))


def closed_loop(problem: Problem, surrogate: Surrogate, atlas: Atlas) -> ClosedLoop:
    """The exact fluxes as the plant's cell, and 10 % less oxygen transfer than the controller assumes.

    The controller keeps 35 % of dissolved oxygen: at the same uptake, the plant then has 28 %, less after a step of the feed.
    It has two elements for each move, since dissolved oxygen is lowest soon after a move: with one it does not see the dip,
    and the plant falls to 18 %.
    """
    careful = replace(problem, horizon=Horizon(5.0, elements=20), limits={"oxygen_saturation": (35.0, None)})
    plant = Plant(problem.system, atlas, START, parameters={"kla": 270.0}, noise=dict.fromkeys(START, 0.0))
    return run_closed_loop(plant, Controller(careful, surrogate, interval=0.5))


def main() -> dict[str, Any]:
    """Run the whole route, print what each step gives, and hold it against the exact fluxes."""
    network = read_network("textbook")
    exact = pfba(network, LIMITS)
    by_pyomo = growth_by_pyomo(network, LIMITS)
    print(f"growth: {by_pyomo:.6f} 1/h by Pyomo, {exact.growth:.6f} 1/h by the compiled program")
    assert abs(by_pyomo - exact.growth) < 1.0e-6

    atlas = Atlas(network, DOMAIN)
    assert atlas.explore() > 1.0 - 1.0e-6
    surrogate = trained_by_keras(atlas)
    report = worst_case_errors(surrogate, atlas)
    print(f"Keras: growth within {report.relative('growth'):.1%} of its range, oxygen {report.relative(OXYGEN):.1%}")
    assert report.relative("growth") < 0.05

    names = ["growth", GLUCOSE, OXYGEN, "EX_ac_e"]
    predicted = surrogate.predict([LIMITS[name] for name in surrogate.inputs], names)
    embedded = embedded_rates(surrogate, LIMITS, names)
    print("OMLT against NumPy:", np.abs(embedded - predicted).max())
    assert np.allclose(embedded, predicted, rtol=0.0, atol=1.0e-9)

    problem = fed_batch()
    plan = optimum(problem, surrogate, atlas)
    print(plan)
    assert plan.status.solved
    assert plan.integration is not None
    assert plan.integration.gap < 0.01
    assert plan.on_reference is not None
    assert plan.on_reference.gap < 0.03
    assert max(plan.on_reference.violations.values(), default=0.0) < 0.02

    loop = closed_loop(problem, surrogate, atlas)
    lowest = loop.trajectory["oxygen_saturation"].min()
    print(
        f"closed loop: {loop.objective:.2f} g, dissolved oxygen {lowest:.1f} % at the lowest, {loop.fallbacks} fallbacks"
    )
    assert loop.fallbacks == 0
    assert lowest > 20.0
    assert 0.8 * plan.objective < loop.objective < plan.objective
    return {"plan": plan, "loop": loop, "report": report}


if __name__ == "__main__":
    main()
