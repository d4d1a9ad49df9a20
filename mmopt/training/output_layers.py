"""The output layer of a surrogate: which flux vectors it combines, and the targets that a trainer fits.

Three bases: ``conic``, non-negative weights on conic generators; ``linear``, any weights on flux modes; ``rates``, growth
and exchange rates one by one, as most dense surrogates do. A trainer fits the layers before it, and `trained_layers`
assembles those of a `Surrogate`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

from mmopt.errors import SurrogateError
from mmopt.fitting.switches import Switches, no_switches, switches_of
from mmopt.fitting.variable_projection import Fit, Layers, least_squares
from mmopt.surrogate.surrogate import Layer, Surrogate, chained
from mmopt.training.alternate_optima import fix_alternate_optima
from mmopt.training.modes import (
    conic_generators,
    counted_directions,
    counted_errors,
    error_weights,
    flux_modes,
    non_negative_weights,
    rate_modes,
)
from mmopt.training.training_set import TrainingSet as TrainingSet

Basis = Literal["conic", "linear", "rates"]

_STEEP: Final = {"tanh": (3.0, 2.0), "sigmoid": (6.0, 4.0), "softplus": (4.0, 2.0)}
"""Slope of the first layer over half the domain, and of the later ones. Over starts 0 to 3, 1,000 points of iJO1366 and 60
steps, tanh of slope 3 ends at losses of 0.0005 to 0.0008, of 2 at 0.0009 to 0.0059; Glorot's start is ten times worse."""

_SOFTNESS: Final = 0.12
"""Softness of a non-negative weight, as a fraction of its largest value. On iJO1366, seeds 0 to 4, the wanted errors were
reached after 2 to 7 rounds with 0.12; with 0.06 after 4 to 8, and by one seed in 11 not."""

_BELOW: Final = 0.15
"""Target below zero of the first fit where a weight is zero, as a fraction of its largest value."""

_NEGLIGIBLE: Final = 1.0e-6
"""A weight below this fraction of its largest value counts as zero."""


@dataclass(frozen=True, eq=False)
class OutputLayer:
    """Flux vectors that a surrogate combines, and the targets of the fit.

    Attributes
    ----------
    modes, offset
        Shapes (modes, reactions) and (reactions,) [mmol/gDW/h].
    targets
        Targets whose errors have equal importance, shape (points, targets).
    gains
        Effect of the outputs of the network on the targets, shape (outputs, targets): of the softplus of every mode weight
        if the basis is conic, else the identity.
    softness
        Factor between the softplus and the mode weight, shape (modes,); empty if the basis is not conic.
    weights
        Mode weights at the points, shape (points, modes); empty if the basis is conic and a fit continues.
    fixed
        Ids of reactions with alternate optima whose flux is fixed in proportion to growth.
    dropped
        Flux vectors that could not be balanced to rounding and are no generators.
    switches
        Units that turn modes off where a limit is zero; none if the basis is not conic.
    start
        Layers of the surrogate from which the fit continues, in scaled inputs.
    """

    modes: np.ndarray
    offset: np.ndarray
    targets: np.ndarray
    gains: np.ndarray
    softness: np.ndarray
    weights: np.ndarray
    switches: Switches
    fixed: tuple[str, ...] = ()
    dropped: int = 0
    start: Layers | None = None

    @property
    def conic(self) -> bool:
        """Whether the mode weights are non-negative."""
        return bool(self.softness.size)

    @property
    def pre_activations(self) -> np.ndarray:
        """Targets before the softplus, shape (points, modes): some way below zero where a weight is zero."""
        weights = self.weights / self.softness
        targets: np.ndarray = np.where(weights > _NEGLIGIBLE / _SOFTNESS, weights, -_BELOW / _SOFTNESS)
        return targets


@dataclass(frozen=True, eq=False)
class TrainedLayers:
    """Hidden layers in unscaled inputs, and the linear layer that gives the mode weights.

    Attributes
    ----------
    hidden
        Hidden layers, for inputs in mmol/gDW/h.
    weights
        The linear layer after them.
    """

    hidden: tuple[Layer, ...]
    weights: Layer


def conic(training_set: TrainingSet) -> OutputLayer:
    """Choose conic generators: with non-negative weights, fluxes balance and no irreversible reaction runs backwards.

    Parameters
    ----------
    training_set
        Points and fluxes.

    Returns
    -------
    OutputLayer
        Generators, targets and gains.

    Raises
    ------
    SurrogateError
        If the surrogate to continue from has another basis or other layers.
    """
    weights, readings = error_weights(training_set.network, training_set.domain, training_set.fluxes)
    fluxes, fixed = fix_alternate_optima(training_set.network, training_set.fluxes, readings)
    counts = counted_directions(fluxes, weights, readings)
    if training_set.start is None:
        network, inputs = training_set.network, training_set.domain.inputs
        modes, dropped = conic_generators(network, inputs, fluxes, counts, training_set.seed)
        mode_weights = non_negative_weights(fluxes, counts, modes)
        softness = _SOFTNESS * mode_weights.max(axis=0)
    else:
        modes, softness = _same_modes(training_set.start)
        dropped = int(training_set.start.card.get("unbalanced_candidates", 0))
        mode_weights = np.empty((0, len(modes)))
    switches = _switches(training_set, modes)
    start = None if training_set.start is None else _continued(training_set, training_set.start, switches)
    return OutputLayer(
        modes=modes,
        offset=np.zeros(len(training_set.network.reactions)),
        targets=fluxes @ counts,
        gains=softness[:, None] * (modes @ counts),
        softness=softness,
        weights=mode_weights,
        switches=switches,
        fixed=fixed,
        dropped=dropped,
        start=start,
    )


def linear(training_set: TrainingSet) -> OutputLayer:
    """Choose flux modes for weights of any sign: fluxes balance, and may run backwards by as much as they err.

    Parameters
    ----------
    training_set
        Points and fluxes.

    Returns
    -------
    OutputLayer
        Modes, offset and targets.
    """
    modes, offset = flux_modes(training_set.network, training_set.fluxes)
    return _unconstrained(training_set, modes, offset)


def rates(training_set: TrainingSet) -> OutputLayer:
    """Choose growth, maintenance and exchange rates one by one: they do not balance.

    Parameters
    ----------
    training_set
        Points and fluxes.

    Returns
    -------
    OutputLayer
        Unit vectors and targets.
    """
    modes = rate_modes(training_set.network, training_set.fluxes)
    return _unconstrained(training_set, modes, np.zeros(len(training_set.network.reactions)))


BASES: Final[Mapping[str, Callable[[TrainingSet], OutputLayer]]] = MappingProxyType(
    {"conic": conic, "linear": linear, "rates": rates}
)
"""Output layers by the name of their basis."""


def _unconstrained(training_set: TrainingSet, modes: np.ndarray, offset: np.ndarray) -> OutputLayer:
    share, _ = error_weights(training_set.network, training_set.domain, training_set.fluxes)
    mode_weights = (training_set.fluxes - offset) @ np.linalg.pinv(modes)
    errors = counted_errors(modes, mode_weights, share)
    start = None if training_set.start is None else _scaled(training_set, training_set.start.hidden)
    gains = np.eye(errors.shape[1])
    nothing = no_switches(len(training_set.domain.inputs), len(modes), training_set.activation)
    return OutputLayer(modes, offset, mode_weights @ errors, gains, np.empty(0), mode_weights, nothing, start=start)


def _switches(training_set: TrainingSet, modes: np.ndarray) -> Switches:
    """Switches that turn off the modes that take up what is not there, if they are wanted or stand for a cliff."""
    network, domain = training_set.network, training_set.domain
    if not training_set.switches and not training_set.cliffs:
        return no_switches(len(domain.inputs), len(modes), training_set.activation)
    consumes = np.array(
        [
            modes[:, network.column(name)] < 0.0 if name in network.exchanges else np.zeros(len(modes), dtype=bool)
            for name in domain.inputs
        ]
    )
    thin = {cliff.name: cliff.end for cliff in training_set.cliffs if cliff.start == 0.0}
    thickness = np.array([thin.get(name, np.inf) for name in domain.inputs])
    return switches_of(domain, consumes, training_set.activation, thickness)


def trained_layers(training_set: TrainingSet, output: OutputLayer, fit: Fit) -> TrainedLayers:
    """Assemble the layers of a surrogate from a fit in scaled inputs.

    Parameters
    ----------
    training_set, output
        Points and output layer of the fit.
    fit
        Hidden layers and output layer.

    Returns
    -------
    TrainedLayers
        The scaling of the inputs is folded into the first layer. A linear output layer is the least-squares fit of all
        mode weights, also of those that hardly count.
    """
    *hidden, last = _unscaled(training_set, fit)
    if output.conic:
        layers = output.switches.joined(hidden, Layer(last.weights, last.bias, "softplus"))
        return TrainedLayers(layers, Layer(np.diag(output.softness), np.zeros(len(output.modes)), "linear"))
    values = chained(hidden, training_set.inputs)
    _, weights = least_squares(np.column_stack([values, np.ones(len(values))]), output.weights)
    return TrainedLayers(tuple(hidden), Layer(weights[:-1], weights[-1], "linear"))


def initial_layers(training_set: TrainingSet, random: np.random.Generator, beside: int = 0) -> Layers:
    """Draw hidden layers: bends of the first through random points in random directions, then random sums of them.

    Parameters
    ----------
    training_set
        Gives the number of inputs, widths and activation.
    random
        Source of the random numbers.
    beside
        Number of fixed units beside the first layer.

    Returns
    -------
    list
        Weights and bias of every hidden layer, in scaled inputs.
    """
    inputs, widths = len(training_set.domain.inputs), training_set.widths
    first, later = _STEEP[training_set.activation]
    normals = random.normal(size=(inputs, widths[0]))
    normals *= first / np.linalg.norm(normals, axis=0)
    through = random.uniform(-1.0, 1.0, (inputs, widths[0]))
    layers = [(normals, -np.sum(normals * through, axis=0))]
    for before, width in pairwise(widths):
        weights = random.normal(size=(before, width)) * later / np.sqrt(before)
        if len(layers) == 1:
            weights = np.vstack([weights, np.zeros((beside, width))])
        layers.append((weights, random.uniform(-1.0, 1.0, width)))
    return layers


def _unscaled(training_set: TrainingSet, fit: Fit) -> tuple[Layer, ...]:
    """All layers of a fit, the scaling of the inputs folded into the first."""
    first, *later = (
        Layer(weights, bias, training_set.activation) for weights, bias in zip(fit.weights, fit.biases, strict=True)
    )
    weights = first.weights / training_set.half[:, None]
    return (Layer(weights, first.bias - training_set.middle @ weights, training_set.activation), *later)


def _scaled(training_set: TrainingSet, layers: Sequence[Layer]) -> Layers:
    """Layers of a surrogate as the start of a fit in scaled inputs."""
    widths, activation = list(training_set.widths), training_set.activation
    hidden = layers[: len(widths)]
    if [layer.weights.shape[1] for layer in hidden] != widths or {layer.activation for layer in hidden} != {activation}:
        raise SurrogateError(
            f"the surrogate to start from has other layers than {widths} {activation}; give hidden= and "
            "activation= as it was trained with, or no start"
        )
    first, *later = layers
    scaled = (first.weights * training_set.half[:, None], first.bias + training_set.middle @ first.weights)
    return [scaled, *((layer.weights, layer.bias) for layer in later)]


def _same_modes(start: Surrogate) -> tuple[np.ndarray, np.ndarray]:
    """Modes and softness of a surrogate with non-negative weights."""
    if not start.conic:
        raise SurrogateError("the surrogate to start from was not trained with basis='conic'; give the basis it has")
    return start.modes, np.diag(start.weights.weights).copy()


def _continued(training_set: TrainingSet, start: Surrogate, switches: Switches) -> Layers:
    """Trained layers of a surrogate with or without switches, as the start of a fit with them."""
    widths, count = training_set.widths, switches.count
    *hidden, last = start.hidden
    if hidden and count and hidden[0].weights.shape[1] == widths[0] + count:
        parted, last = switches.parted(hidden, last)
        return _scaled(training_set, [*parted, last])
    layers = _scaled(training_set, start.hidden)
    weights, bias = layers[1]  # it was trained without switches: they count for nothing yet
    layers[1] = (np.vstack([weights, np.zeros((count, weights.shape[1]))]), bias)
    return layers
