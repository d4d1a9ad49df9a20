"""A surrogate at many points of a Pyomo problem at once: variables for inputs and outputs, one grey box for all.

OMLT writes a network out point by point; for tens of collocation points most of the time then goes into deriving and
compiling what is the same everywhere. Here the network stays a function of matrices with exact derivatives. Ipopt solves
the same problem.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.contrib.pynumero.interfaces.external_grey_box import ExternalGreyBoxBlock

from mmopt.solvers.dense import NetworkAtPoints
from mmopt.surrogate.layer import SmoothCell

GREY_BOX = "grey_box"


class Gathered:
    """Points of a problem at which a surrogate is evaluated, gathered into one grey box.

    Parameters
    ----------
    program
        The block that gets the grey box, ``cells``, when it is closed.
    surrogate
        The surrogate.
    outputs
        Readings, the same at every point.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> problem = pyo.ConcreteModel()
    >>> problem.limit = pyo.Var(["EX_glc__D_e", "EX_o2_e", "EX_ac_e"], initialize=5.0)
    >>> problem.here = pyo.Block()
    >>> points = Gathered(problem, load_surrogate("ecoli_ijo1366"), ["growth"])
    >>> rates = points.cell(problem.here)(dict(problem.limit))
    >>> points.close()
    >>> round(rates["growth"].value, 2), problem.cells.get_external_model().n_outputs()
    (0.34, 1)
    """

    def __init__(self, program: Any, surrogate: SmoothCell, outputs: Sequence[str]) -> None:
        self._program = program
        self._surrogate = surrogate
        self._names = tuple(dict.fromkeys(outputs))
        self._blocks: list[Any] = []

    def cell(self, block: Any) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
        """Return the cell at one point; its variables go into the point's block.

        Parameters
        ----------
        block
            The block of the point.

        Returns
        -------
        callable
            From expressions of uptake limits to variables of the rates, both by name.
        """

        def rates(limits: Mapping[str, Any]) -> Mapping[str, Any]:
            inputs, names = self._surrogate.inputs, self._names
            block.network = network = pyo.Block(concrete=True)
            network.limit = pyo.Var(inputs)
            network.rate = pyo.Var(names)
            network.limits = pyo.Constraint(inputs, rule=lambda b, exchange: b.limit[exchange] == limits[exchange])
            predict = self._surrogate.rate_function(names)

            def start_at(values: Mapping[str, float], predicted: Mapping[str, float]) -> None:
                for variables, given in ((network.limit, values), (network.rate, predicted)):
                    for name, variable in variables.items():
                        variable.set_value(float(given[name]), skip_validation=True)

            def started() -> None:
                values = {exchange: pyo.value(limits[exchange], exception=False) for exchange in inputs}
                if all(value is not None and np.isfinite(value) for value in values.values()):
                    start_at(values, predict(values))

            network.started, network.start_at = started, start_at
            started()
            self._blocks.append(network)
            return dict(network.rate)

        return rates

    def close(self) -> None:
        """Tie the rates of all points to their limits."""
        network = NetworkAtPoints(self._surrogate.layers(self._names), len(self._blocks))
        self._program.cells = ExternalGreyBoxBlock(concrete=True)
        self._program.cells.set_external_model(
            network,
            inputs=[block.limit[exchange] for block in self._blocks for exchange in self._surrogate.inputs],
            outputs=[block.rate[name] for block in self._blocks for name in self._names],
        )
