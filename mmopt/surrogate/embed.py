"""Embedding a surrogate in a Pyomo problem: the only file that imports OMLT.

Give expressions, get expressions. OMLT writes the layers; its input layer is then pointed at the caller's expressions,
so that no linking variables or constraints are left.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from omlt import OmltBlock
from omlt.neuralnet import NetworkDefinition, ReducedSpaceSmoothNNFormulation
from omlt.neuralnet.layer import DenseLayer, InputLayer

from mmopt.surrogate.surrogate import Layer, Surrogate


def embed(block: Any, surrogate: Surrogate, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
    """Write a surrogate into a Pyomo block, in reduced space.

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
        Readings wanted: ``growth``, ``shortfall`` or reaction ids. Only these are written.

    Returns
    -------
    dict
        An expression for each of ``outputs``.

    References
    ----------
    Ceccon et al. (2022), J. Mach. Learn. Res. 23(349):1-8 (OMLT).

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> problem = pyo.ConcreteModel()
    >>> problem.limit = pyo.Var(["EX_glc__D_e", "EX_o2_e", "EX_ac_e"], initialize=5.0)
    >>> rates = embed(problem, load_surrogate("ecoli_ijo1366"), dict(problem.limit), ["growth"])
    >>> sum(1 for _ in problem.component_data_objects(pyo.Constraint))
    0
    """
    layers = surrogate.layers(outputs)
    definition, ends = _definition(layers, len(surrogate.inputs))
    block.network = OmltBlock(concrete=True)
    block.network.build_formulation(ReducedSpaceSmoothNNFormulation(definition))
    first, last = (block.network.layer[id(layer)] for layer in ends)
    for position, exchange in enumerate(surrogate.inputs):
        first.z[position].set_value(inputs[exchange])
    for linking in ("inputs", "outputs", "scaled_inputs", "scaled_outputs"):
        block.network.del_component(linking)
    for linking in ("_scale_input_constraint", "_scale_output_constraint", "output_assignment"):
        block.network.del_component(linking)
    return {name: last.z[position] for position, name in enumerate(outputs)}


def _definition(layers: Sequence[Layer], inputs: int) -> tuple[NetworkDefinition, tuple[Any, Any]]:
    """The same dense layers as OMLT names them, and the first and last of them."""
    definition = NetworkDefinition()
    first = previous = InputLayer([inputs])
    definition.add_layer(first)
    for layer in layers:
        width = layer.weights.shape
        following = DenseLayer(
            [width[0]], [width[1]], np.array(layer.weights), np.array(layer.bias), activation=layer.activation
        )
        definition.add_layer(following)
        definition.add_edge(previous, following)
        previous = following
    return definition, (first, previous)
