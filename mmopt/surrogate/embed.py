"""Embedding a surrogate in a Pyomo problem: the only file that imports OMLT.

Give expressions, get expressions. OMLT writes the layers; its variables for what goes in and comes out, and the
constraints that link them, are taken away again, so that the layers stand on the caller's expressions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import pyomo.environ as pyo
from omlt import OmltBlock
from omlt.neuralnet import FullSpaceNNFormulation, NetworkDefinition, ReducedSpaceNNFormulation
from omlt.neuralnet.activations.smooth import smooth_monotonic_activation_constraint
from omlt.neuralnet.layer import DenseLayer, InputLayer
from pyomo.core.expr.visitor import replace_expressions

from mmopt.errors import SurrogateError, nearest
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.surrogate.layer import Layer, chained
from mmopt.surrogate.surrogate import Surrogate


def _sigmoid(x: Any) -> Any:
    """1 / (1 + exp(−x)), where exp(−x) would overflow below −709: through tanh, which is bounded."""
    return (1.0 + pyo.tanh(x / 2.0)) / 2.0


def _softplus(x: Any) -> Any:
    """log(exp(x) + 1), where exp(x) would overflow above 709: with exp(M) drawn out, for a smooth M > max(x, 0).

    No exponent is positive then, and as M − max(x, 0) is 1/2 at most, the logarithm never sees zero.
    """
    most = (x + pyo.sqrt(x**2 + 1.0)) / 2.0
    return most + pyo.log(pyo.exp(x - most) + pyo.exp(-most))


_SAFE: Final[Mapping[str, Callable[[Any], Any]]] = {"sigmoid": _sigmoid, "softplus": _softplus}
"""In split of OMLT's own, which overflow; its tanh and linear do not. OMLT's formulations called smooth take no functions
but its own, and so their parents are used, which do; a `Surrogate` has smooth activations alone."""

_NETWORK: Final = "network"

REDUCED: Final = "reduced_space"


def embed(
    block: Any,
    surrogate: Surrogate,
    inputs: Mapping[str, Any],
    outputs: Sequence[str],
    formulation: str = "reduced_space",
    *,
    maintenance: Any = None,
) -> dict[str, Any]:
    """Write a surrogate into a Pyomo block.

    Parameters
    ----------
    block
        A Pyomo block that is already constructed, for one point in time; gets one new sub-block, ``network``.
    surrogate
        The surrogate.
    inputs
        An expression for each of the surrogate's uptake limits, by exchange id [mmol/gDW/h]. They are not kept inside
        the surrogate's domain here: the caller owns them.
    outputs
        Readings wanted: ``growth`` [1/h], ``shortfall`` or reaction ids [mmol/gDW/h]. Only these are written.
    formulation
        ``"reduced_space"``: the layers are nested expressions; no variable and no constraint is added. Ipopt gets each of
        them once, but Pyomo's own evaluation and analyses walk through all that is nested, again at each split it is met:
        with non-negative weights (a softplus after two layers) that takes a second a rate. ``"mixed"``: the same, but what
        each unit of such a softplus is given is a variable, ``zhat``, which cuts the nesting: for Pyomo's tools, since Ipopt
        takes more iterations. ``"full_space"``: every unit has a variable before its activation, ``zhat``, and one after
        it, ``z``, and a constraint for each;
        every input has a ``z``, too. These variables have no bounds. They start at the surrogate's values if all inputs
        have values, and at zero otherwise.
    maintenance
        An expression for the maintenance demand [mmol/gDW/h], which must stay above zero; by default the surrogate's own
        demand. Answers scale with it, f(λu, λm) = λ f(u, m), so that it needs no input of its own.

    Returns
    -------
    dict
        An expression (reduced space) or a variable (full space) for each of ``outputs``.

    Raises
    ------
    SurrogateError
        If the formulation or a reading is unknown, an input is missing or unknown, no reading is named, the block
        holds a ``network`` already, or a demand is given and answers do not scale with it. The block is left as it was.

    References
    ----------
    Ceccon et al. (2022), JMLR 23(349):1-8 (OMLT).

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> problem = pyo.ConcreteModel()
    >>> problem.limit = pyo.Var(["EX_glc__D_e", "EX_o2_e", "EX_ac_e"], initialize=5.0)
    >>> surrogate = load_surrogate("ecoli_ijo1366")
    >>> rates = embed(problem, surrogate, dict(problem.limit), ["growth"])
    >>> sum(1 for _ in problem.component_data_objects(pyo.Constraint))
    0

    In full space there is one for each input, and two for each unit of the layers of 24, 24 and 1.

    >>> problem.full = pyo.Block()
    >>> full = embed(problem.full, surrogate, dict(problem.limit), ["growth"], formulation="full_space")
    >>> sum(1 for _ in problem.component_data_objects(pyo.Constraint))
    135
    >>> bool(abs(full["growth"].value - pyo.value(rates["growth"])) < 1.0e-9)
    True
    """
    names = _readings(outputs)
    layers = surrogate.layers(names)
    given = _ordered(inputs, surrogate.inputs)
    if formulation not in _WRITERS:
        raise SurrogateError(f"there is no formulation '{formulation}'; give one of {', '.join(_WRITERS)}")
    if block.component(_NETWORK) is not None:
        raise SurrogateError(f"the block holds a component '{_NETWORK}' already; give each embedding its own block")
    if maintenance is None:
        return dict(zip(names, _WRITERS[formulation](block, layers, given), strict=True))
    surrogate.with_maintenance(surrogate.maintenance_demand)  # refuses a surrogate that does not scale
    scale = maintenance / surrogate.maintenance_demand
    results = _WRITERS[formulation](block, layers, [limit / scale for limit in given])
    return {name: scale * result for name, result in zip(names, results, strict=True)}


def start_embedding(block: Any, values: tuple[Mapping[str, float], Mapping[str, float]] | None = None) -> None:
    """Give the variables of an embedding, if it has any, the surrogate's values at the present values of its inputs.

    Parameters
    ----------
    block
        The block that was given to `embed`.
    values
        Uptake limits and rates by name, where they are known; else they are computed.
    """
    network = block.component(_NETWORK)
    if network is None:
        return
    if values is not None and getattr(network, "start_at", None) is not None:
        network.start_at(*values)
    elif getattr(network, "started", None) is not None:
        network.started()


def _reduced_space(block: Any, layers: Sequence[Layer], inputs: Sequence[Any]) -> list[Any]:
    """Nested expressions; those of OMLT's input layer are set to the caller's."""
    definition, chain = _definition(layers, len(inputs))
    written = _written(block, chain, ReducedSpaceNNFormulation(definition, activation_functions=_SAFE))
    z = written[0].z
    # where the first weight of a unit is exactly 1, Pyomo puts OMLT's variable there, not the expression that holds it
    held = {id(expression.expr): expression for expression in z.values()}
    for unit in written[1].zhat.values():
        unit.set_value(
            replace_expressions(unit.expr, held, descend_into_named_expressions=False, remove_named_expressions=False)
        )
    for position, expression in enumerate(inputs):
        z[position].set_value(expression)
    return list(written[-1].z.values())


def _full_space(block: Any, layers: Sequence[Layer], inputs: Sequence[Any]) -> list[Any]:
    """Variables and constraints for each unit; those of the input layer are tied to the caller's expressions."""
    definition, chain = _definition(layers, len(inputs))
    constraints = {name: partial(smooth_monotonic_activation_constraint, fcn=safe) for name, safe in _SAFE.items()}
    written = _written(block, chain, FullSpaceNNFormulation(definition, activation_constraints=constraints))
    first = written[0]
    first.given = pyo.Constraint(range(len(inputs)), rule=lambda _, position: first.z[position] == inputs[position])
    network = block.component(_NETWORK)
    network.started = partial(_initialise, written, layers, inputs)
    network.started()
    return list(written[-1].z.values())


def _mixed(block: Any, layers: Sequence[Layer], inputs: Sequence[Any]) -> list[Any]:
    """Nested expressions, but a variable for what each unit of the last softplus layer is given."""
    split = max((k for k, layer in enumerate(layers) if k > 0 and layer.activation == "softplus"), default=None)
    if split is None:
        return _reduced_space(block, layers, inputs)
    network = pyo.Block(concrete=True)
    block.add_component(_NETWORK, network)
    network.before, network.after = pyo.Block(concrete=True), pyo.Block(concrete=True)
    sums = _reduced_space(network.before, [*layers[:split], replace(layers[split], activation="linear")], inputs)
    network.zhat = pyo.Var(range(len(sums)), initialize=0.0)
    network.sums = pyo.Constraint(range(len(sums)), rule=lambda b, unit: b.zhat[unit] == sums[unit])
    network.z = pyo.Expression(range(len(sums)), rule=lambda b, unit: _softplus(b.zhat[unit]))
    network.started = partial(_initialise_sums, network.zhat, layers[: split + 1], inputs)
    network.started()
    return _reduced_space(network.after, layers[split + 1 :], list(network.z.values()))


def _initialise_sums(sums: Any, layers: Sequence[Layer], inputs: Sequence[Any]) -> None:
    """Give the sums before the last of some layers the network's values, if the inputs have values."""
    values = np.array([_value(expression) for expression in inputs])
    if np.all(np.isfinite(values)):
        last = layers[-1]
        sums.set_values(dict(enumerate((chained(layers[:-1], values) @ last.weights + last.bias).tolist())))


_WRITERS: Final = {REDUCED: _reduced_space, "mixed": _mixed, "full_space": _full_space}


def _initialise(written: Sequence[Any], layers: Sequence[Layer], inputs: Sequence[Any]) -> None:
    """Give every variable of the full space the network's value, if the inputs have values."""
    values = np.array([_value(expression) for expression in inputs])
    if not np.all(np.isfinite(values)):
        return
    written[0].z.set_values(dict(enumerate(values.tolist())))
    for own, layer in zip(written[1:], layers, strict=True):
        sums = values @ layer.weights + layer.bias
        values = ACTIVATIONS[layer.activation](sums)
        own.zhat.set_values(dict(enumerate(sums.tolist())))
        own.z.set_values(dict(enumerate(values.tolist())))


def _value(expression: Any) -> float:
    """The value of an expression, or not a number if it has none."""
    try:
        value = pyo.value(expression, exception=False)
        return float("nan") if value is None else float(value)
    except (ArithmeticError, TypeError, ValueError):  # a division by zero, a root of what is negative
        return float("nan")


def _definition(layers: Sequence[Layer], inputs: int) -> tuple[NetworkDefinition, list[Any]]:
    """The same dense layers as OMLT names them, after an input layer."""
    definition = NetworkDefinition()
    chain: list[Any] = [InputLayer([inputs])]
    definition.add_layer(chain[0])
    for layer in layers:
        width = layer.weights.shape
        following = DenseLayer(
            [width[0]], [width[1]], np.array(layer.weights), np.array(layer.bias), activation=layer.activation
        )
        definition.add_layer(following)
        definition.add_edge(chain[-1], following)
        chain.append(following)
    return definition, chain


def _written(block: Any, chain: Sequence[Any], formulation: Any) -> list[Any]:
    """The block of each layer as OMLT writes it, without what links the first and last to variables of their own."""
    network = OmltBlock(concrete=True)
    network.started = None
    block.add_component(_NETWORK, network)
    with np.errstate(invalid="ignore"):  # OMLT multiplies bounds, which are infinite here, by weights; some are zero
        network.build_formulation(formulation)
    for linking in ("_scale_input_constraint", "_scale_output_constraint", "input_assignment", "output_assignment"):
        network.del_component(linking)
    for linking in ("inputs", "outputs", "scaled_inputs", "scaled_outputs"):
        network.del_component(linking)
    return [network.layer[id(layer)] for layer in chain]


def _readings(outputs: Sequence[str]) -> tuple[str, ...]:
    """The readings wanted, each once."""
    names = tuple(dict.fromkeys(outputs))
    if not names:
        raise SurrogateError("no reading is named; name one or more, such as 'growth'")
    return names


def _ordered(inputs: Mapping[str, Any], wanted: Sequence[str]) -> list[Any]:
    """The caller's expressions in the order of the surrogate's inputs."""
    missing = [exchange for exchange in wanted if exchange not in inputs]
    unknown = [f"'{exchange}' ({nearest(exchange, wanted)})" for exchange in inputs if exchange not in wanted]
    wrong = [f"{kind} {', '.join(names)}" for kind, names in (("missing", missing), ("unknown", unknown)) if names]
    if wrong:
        raise SurrogateError(f"the inputs must be {', '.join(wanted)}; {'; '.join(wrong)}")
    return [inputs[exchange] for exchange in wanted]
