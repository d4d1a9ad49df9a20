"""Switches beside the hidden layers of a surrogate: what is not there is not eaten.

A switch is a unit of the first layer that depends on one uptake limit u alone: t(u) is 0 where nothing may be taken up, and
1 from a few widths on. The modes that consume the substrate get ``STRENGTH * (t(u) - 1)`` before their softplus, so that
their weights vanish with the limit, whatever the trained layers say. Later layers pass a switch on, as a unit in the
linear part of its activation; so a surrogate with switches is a chain of dense layers like any other. Switches are also
inputs of the second layer: an answer that is steep where a substrate runs out is smooth in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mmopt.fba.domain import Domain
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.surrogate.layer import Layer

STRENGTH: Final = 40.0
"""Lowers the argument of a softplus so far that nothing is left of it: exp(-40) is 4e-18."""

WIDTH: Final = 2.0e-3
"""Width of a switch, as a fraction of the range of its limit. At 1.5 widths a mode is half on, at 5 it is not touched."""

COORDINATES: Final = (0.015,)
"""Widths of further units that turn nothing off: near zero, where cells starve, the later layers see limits at this scale."""

_STEEP: Final = {"tanh": (1.0, 0.0), "sigmoid": (2.0, 0.0), "softplus": (-3.0, 3.0)}
"""Slope by width and bias of a switch: it is monotone, and constant within 1e-4 from 5 widths on."""

_TO_FULL: Final = 3.0
"""Widths within which a mode is switched on where growth climbs a cliff."""

_PASSED: Final = 0.05
"""Slope with which later layers pass a switch on: small, so that their activation is nearly linear."""


@dataclass(frozen=True, eq=False)
class Switches:
    """Units of the first layer that depend on one uptake limit, and the modes that some of them turn off.

    Attributes
    ----------
    columns
        Position of the input of every unit, those that turn modes off first; shape (units,).
    widths
        Width of every unit [mmol/gDW/h], shape (units,).
    consumes
        Whether a mode takes up what an input limits, shape (switches, modes); the units after the switches turn nothing off.
    inputs
        Number of inputs.
    activation
        Activation of the hidden layers.

    Examples
    --------
    >>> from mmopt.fitting.switches import Switches
    >>> switches = Switches(np.array([0]), np.array([0.01]), np.array([[True, False]]), 1, "tanh")
    >>> switches.lowering(np.array([[0.0], [0.1]])).round(3).astype(int).tolist()
    [[-40, 0], [0, 0]]
    """

    columns: np.ndarray
    widths: np.ndarray
    consumes: np.ndarray
    inputs: int
    activation: str

    @property
    def count(self) -> int:
        """Number of units beside the first layer."""
        return len(self.columns)

    def units(self, limits: np.ndarray) -> np.ndarray:
        """Compute the values of all units of the first layer.

        Parameters
        ----------
        limits
            Uptake limits [mmol/gDW/h], shape (points, inputs).

        Returns
        -------
        ndarray
            Shape (points, units).
        """
        return self._first_layer()(limits)

    def lowering(self, limits: np.ndarray, layers: int = 1) -> np.ndarray:
        """Compute what is added before the softplus of every mode.

        Parameters
        ----------
        limits
            Uptake limits [mmol/gDW/h], shape (points, inputs).
        layers
            Number of hidden layers.

        Returns
        -------
        ndarray
            Zero, or below it where a mode consumes what is not there; shape (points, modes).
        """
        passed = self.units(limits)[:, : len(self.consumes)]
        for layer in self._passing(layers):
            passed = layer(passed)
        weights, bias = self._lowering_layer(layers)
        lowering: np.ndarray = passed @ weights + bias + 0.0
        return lowering

    def joined(self, hidden: Sequence[Layer], last: Layer) -> tuple[Layer, ...]:
        """Return hidden layers and the layer of softplus with the units beside them.

        Parameters
        ----------
        hidden
            Trained hidden layers. The layer after the first takes all units as further inputs.
        last
            The layer of softplus.

        Returns
        -------
        tuple of Layer
            All layers; the same as ``(*hidden, last)`` if there is no unit.
        """
        if not self.count:
            return (*hidden, last)
        passed, first = len(self.consumes), self._first_layer()
        chain, at = [_beside(hidden[0], first.weights, first.bias)], hidden[0].weights.shape[1]
        for layer, more in zip(hidden[1:], self._passing(len(hidden)), strict=True):
            before = chain[-1].weights.shape[1]
            weights = np.zeros((before, passed))
            weights[at : at + passed] = more.weights
            chain.append(_beside(_widened(layer, before), weights, more.bias))
            at = layer.weights.shape[1]
        weights, bias = self._lowering_layer(len(hidden))
        softplus = _widened(last, chain[-1].weights.shape[1])
        softplus.weights[at : at + passed] += weights
        return (*chain, Layer(softplus.weights, softplus.bias + bias, last.activation))

    def parted(self, hidden: Sequence[Layer], last: Layer) -> tuple[tuple[Layer, ...], Layer]:
        """Return the trained layers that `joined` put beside the units.

        Parameters
        ----------
        hidden, last
            Layers with units beside them.

        Returns
        -------
        hidden, last
            The trained layers.
        """
        passed = len(self.consumes)
        widths = [layer.weights.shape[1] - (passed if number else self.count) for number, layer in enumerate(hidden)]
        weights, bias = self._lowering_layer(len(hidden))
        own = _widened(last, len(last.weights))
        own.weights[widths[-1] : widths[-1] + passed] -= weights
        rows = [None, None, *widths[1:]]  # the second layer is trained on all units
        parted = [
            Layer(layer.weights[: rows[number], :width], layer.bias[:width], layer.activation)
            for number, (layer, width) in enumerate(zip(hidden, widths, strict=True))
        ]
        return tuple(parted), Layer(own.weights[: rows[len(hidden)]], own.bias - bias, own.activation)

    def _first_layer(self) -> Layer:
        slope, bias = _STEEP[self.activation]
        weights = np.zeros((self.inputs, self.count))
        weights[self.columns, np.arange(self.count)] = slope / self.widths
        return Layer(weights, np.full(self.count, bias), self.activation)

    def _ends(self, layers: int) -> tuple[float, float]:
        """Values of a unit after some layers where the limit is zero, and far above it."""
        slope, bias = _STEEP[self.activation]
        ends = (bias, np.sign(slope) * np.inf) if layers == 1 else (0.0, _PASSED)
        off, on = ACTIVATIONS[self.activation](np.array(ends))
        return float(off), float(on)

    def _passing(self, layers: int) -> list[Layer]:
        """Units of the later hidden layers that pass the switches on."""
        count, passing = len(self.consumes), []
        for done in range(1, layers):
            off, on = self._ends(done)
            slope = _PASSED / (on - off)
            passing.append(Layer(slope * np.eye(count), np.full(count, -slope * off), self.activation))
        return passing

    def _lowering_layer(self, layers: int) -> tuple[np.ndarray, np.ndarray]:
        """Weights and bias from the last units of the switches to the arguments of the softplus."""
        off, on = self._ends(layers)
        consumes = STRENGTH * self.consumes.astype(float)
        return consumes / (on - off), -consumes.sum(axis=0) * on / (on - off)


def no_switches(inputs: int, modes: int, activation: str) -> Switches:
    """Return the switches of a surrogate that has none.

    Parameters
    ----------
    inputs, modes
        Numbers of inputs and modes.
    activation
        Activation of the hidden layers.

    Returns
    -------
    Switches
    """
    return Switches(np.empty(0, dtype=int), np.empty(0), np.empty((0, modes), dtype=bool), inputs, activation)


def switches_of(domain: Domain, consumes: np.ndarray, activation: str, thickness: np.ndarray | None = None) -> Switches:
    """Return the switches of a domain: one for every input that may be zero and that a mode takes up.

    Parameters
    ----------
    domain
        The box of inputs.
    consumes
        Whether a mode takes up what an input limits, shape (inputs, modes).
    activation
        Activation of the hidden layers.
    thickness
        Value of every input at which the switch must be on [mmol/gDW/h], shape (inputs,); none by default.

    Returns
    -------
    Switches
    """
    switched = np.flatnonzero((domain.lower == 0.0) & consumes.any(axis=1))
    upper = domain.upper[switched]
    narrow = upper * WIDTH if thickness is None else np.minimum(upper * WIDTH, thickness[switched] / _TO_FULL)
    return Switches(
        np.tile(switched, 1 + len(COORDINATES)),
        np.concatenate([narrow, *(width * upper for width in COORDINATES)]),
        consumes[switched],
        len(domain.inputs),
        activation,
    )


def _beside(layer: Layer, weights: np.ndarray, bias: np.ndarray) -> Layer:
    """The layer with further units."""
    return Layer(np.hstack([layer.weights, weights]), np.concatenate([layer.bias, bias]), layer.activation)


def _widened(layer: Layer, inputs: int) -> Layer:
    """The layer with zero weights for inputs that it does not take."""
    missing = inputs - layer.weights.shape[0]
    return Layer(np.vstack([layer.weights, np.zeros((missing, layer.weights.shape[1]))]), layer.bias, layer.activation)
