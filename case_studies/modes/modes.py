"""The same culture in a chemostat, in perfusion, and making a recombinant protein after induction.

    python case_studies/modes/modes.py

1. A chemostat over its feed: growth equals dilution, overflow to acetate begins where oxygen runs short, and beyond the largest
   growth the culture is washed out.
2. Perfusion: with the same feed and cells retained, the biomass is that of the chemostat divided by the fraction that leaves.
3. A fed-batch whose protein takes a fifth of growth once it is induced: the feed and the time of induction are optimised
   together, as a feed and a control of inducer, and beat an induction from the start.

*E. coli* (iJO1366) as it ships. It ends in assertions.
"""

from dataclasses import replace
from typing import Any, Final

from mmopt import Horizon, Problem, StudyError, ecoli_fed_batch, load_surrogate, optimise
from mmopt.reactor import Bioreactor, Component, Parameter, Quantity, chemostat, perfusion
from mmopt.simulation import steady_state

START: Final = {"volume": 1.0, "biomass": 1.0, "glucose": 0.1, "acetate": 0.0, "oxygen": 0.2}
WEAK: Final = {"glucose_fed": 10.0}
"""Medium of continuous cultures: 10 g/L of glucose."""


class Induced(Component):
    """A protein that takes a share of growth while an inducer is added; the inducer is a control from 0 to 1."""

    states = (Quantity("protein", "g/L", 1.0, 0.0),)
    controls = (Quantity("inducer", "1", 1.0, 0.0, 1.0),)
    parameters = (Parameter("share", 0.2, "g/g", "assumed", 0.0, 1.0),)
    derived = (Quantity("protein_amount", "g", 1.0, 0.0),)
    readings = ("growth",)

    def rates(self, now: Any) -> dict[str, Any]:
        """What the protein gains, the biomass loses."""
        formed = now["share"] * now["inducer"] * now["growth"] * now["biomass"]
        return {"protein": formed, "biomass": -formed}

    def observe(self, now: Any) -> dict[str, Any]:
        """The protein in the vessel."""
        return {"protein_amount": now["protein"] * now["volume"]}


def continuous(surrogate: Any) -> dict[float, Any]:
    """Steady states by dilution [1/h]; None where the culture is washed out."""
    reactor, states = chemostat(ecoli_fed_batch()), {}
    for dilution in (0.1, 0.3, 0.5, 0.7, 1.2):
        try:
            states[dilution] = steady_state(reactor, START, {"feed": dilution}, surrogate, parameters=WEAK)
        except StudyError as error:
            print(f"dilution {dilution:.1f} 1/h: {error}")
            states[dilution] = None
            continue
        now = states[dilution]
        print(
            f"dilution {dilution:.1f} 1/h: growth {now.final('growth'):.4f} 1/h, biomass {now.final('biomass'):.2f} g/L, "
            f"acetate {now.final('acetate'):.3f} g/L"
        )
    return states


def retained(surrogate: Any) -> float:
    """Biomass with cells retained [g/L]: a tenth of the volume that leaves is bleed, the filter lets no cell pass."""
    feed = {"feed": 0.3, "bleed": 0.03}
    states = {**START, "biomass": 5.0}
    run = steady_state(perfusion(ecoli_fed_batch()), states, feed, surrogate, parameters={**WEAK, "kla": 500.0})
    print(f"perfusion: growth {run.final('growth'):.4f} 1/h, biomass {run.final('biomass'):.2f} g/L")
    return run.final("growth")


def expressing(surrogate: Any) -> tuple[float, float]:
    """Protein at the end [g] with the inducer optimised, and with the inducer from the start."""
    reactor: Bioreactor = replace(ecoli_fed_batch(), components=(Induced(),))
    start = {**START, "volume": 2.0, "biomass": 0.1, "glucose": 2.0, "protein": 0.0}
    limits = {"oxygen_saturation": (20.0, None), "volume": (None, 3.0)}
    amounts = []
    for lowest in (0.0, 1.0):
        controls = {"feed": (0.0, 0.1), "inducer": (lowest, 1.0)}
        problem = Problem(reactor, start, Horizon(8.0, elements=16), controls, limits, maximise="protein_amount")
        plan = optimise(problem, surrogate)
        assert plan.status.solved
        assert plan.keeps_limits
        amounts.append(plan.objective)
        begins = next((at for at, level in zip(plan.edges, plan.values["inducer"], strict=False) if level > 0.5), None)
        print(f"protein {plan.objective:.2f} g, inducer from {begins:.1f} h on")
    return amounts[0], amounts[1]


def main() -> dict[str, Any]:
    """All three, and what must hold."""
    surrogate = load_surrogate("ecoli_ijo1366")
    states = continuous(surrogate)
    for dilution, state in states.items():
        if state is not None:
            assert abs(state.final("growth") - dilution) < 1.0e-4
    assert states[1.2] is None
    assert states[0.1].final("acetate") < 0.01
    growth = retained(surrogate)
    assert abs(growth - 0.03) < 1.0e-4
    late, early = expressing(surrogate)
    assert late > 1.02 * early
    return {"states": states, "growth": growth, "protein": (late, early)}


if __name__ == "__main__":
    main()
