"""The surrogate: a small smooth network whose output layer combines flux modes.

Every mode balances, S m = 0, and so does whatever the network makes of them: the weights can be wrong, the balance
cannot. Growth, exchange rates, the shortfall and every flux inside the cell are linear readings of the same weights.
Here is NumPy alone; Keras is needed to train, not to use.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from mmopt.errors import SurrogateError, nearest
from mmopt.metabolism.cell import GROWTH, SHORTFALL
from mmopt.metabolism.domain import Domain
from mmopt.results import write_whole

ACTIVATIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "softplus": lambda z: np.logaddexp(z, 0.0),
    "linear": lambda z: z,
}
"""Smooth activations that Keras, NumPy and OMLT all know by the same name."""

_BELOW = 0.1
"""Part of each range by which a reactor may leave the domain below: where a substrate is gone, a smooth law settles a
little under zero and is followed there. Trial steps of an integrator go further, and meet the law at the edge."""

_CARD, _ARRAYS = "surrogate.json", "arrays.npz"
_SCHEMA = 1


@dataclass(frozen=True, eq=False)
class Layer:
    """A dense layer, ``activation(z @ weights + bias)``."""

    weights: np.ndarray
    bias: np.ndarray
    activation: str

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Outputs, shape (..., outputs), for inputs of shape (..., inputs)."""
        value: np.ndarray = ACTIVATIONS[self.activation](z @ self.weights + self.bias)
        return value


def chained(layers: Sequence[Layer], values: np.ndarray) -> np.ndarray:
    """What the last of some layers gives for inputs of shape (..., inputs) to the first."""
    for layer in layers:
        values = layer(values)
    return values


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A smooth map from uptake limits to balanced fluxes.

    Attributes
    ----------
    domain
        The box of uptake limits it was trained on.
    hidden
        Dense layers from limits [mmol/gDW/h] to the last hidden values; the scaling of the inputs is inside the first.
    weights
        The linear layer from the last hidden values to the weights of the modes.
    modes
        Balanced flux vectors, shape (modes, reactions).
    offset
        A balanced flux vector that is always added, shape (reactions,).
    reactions
        Reaction ids.
    biomass, maintenance, maintenance_demand
        As in the network.
    card
        Where it comes from and how wrong it is.
    """

    domain: Domain
    hidden: tuple[Layer, ...]
    weights: Layer
    modes: np.ndarray = field(repr=False)
    offset: np.ndarray = field(repr=False)
    reactions: tuple[str, ...] = field(repr=False)
    biomass: str
    maintenance: str | None
    maintenance_demand: float
    card: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        _check_shapes(self)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Exchanges whose uptake limits go in, in order."""
        return self.domain.inputs

    @cached_property
    def _index(self) -> Mapping[str, int]:
        return {reaction: column for column, reaction in enumerate(self.reactions)}

    def output_layer(self, names: Sequence[str]) -> Layer:
        """The linear layer from the last hidden values straight to the named readings.

        Parameters
        ----------
        names
            ``growth`` [1/h], ``shortfall`` or reaction ids [mmol/gDW/h], in the order wanted.

        Raises
        ------
        SurrogateError
            If a name is unknown; the nearest known are named.
        """
        modes, offset = zip(*(self._reading(name) for name in names), strict=True)
        matrix = np.column_stack(modes)
        return Layer(self.weights.weights @ matrix, self.weights.bias @ matrix + np.array(offset), "linear")

    def layers(self, names: Sequence[str]) -> tuple[Layer, ...]:
        """The whole network as a chain of dense layers, from limits [mmol/gDW/h] to the named readings.

        Everything that uses a surrogate goes through this chain: `predict`, a reactor, an optimisation, an export.

        Parameters
        ----------
        names
            As for `output_layer`.
        """
        return (*self.hidden, self.output_layer(names))

    def _reading(self, name: str) -> tuple[np.ndarray, float]:
        if name == SHORTFALL:
            if self.maintenance is None:
                return np.zeros(len(self.modes)), 0.0
            column = self._index[self.maintenance]
            return -self.modes[:, column], self.maintenance_demand - float(self.offset[column])
        reaction = self.biomass if name == GROWTH else name
        if reaction not in self._index:
            raise SurrogateError(f"the surrogate has no reading '{name}'; {nearest(name, self.reactions)}")
        column = self._index[reaction]
        return self.modes[:, column], float(self.offset[column])

    def predict(self, limits: Sequence[float] | np.ndarray, names: Sequence[str] | None = None) -> np.ndarray:
        """Readings at uptake limits inside the domain.

        Parameters
        ----------
        limits
            Uptake limits [mmol/gDW/h], shape (inputs,) or (points, inputs).
        names
            Readings wanted; by default the net flux of every reaction, in order.

        Returns
        -------
        ndarray
            Shape (readings,) or (points, readings).

        Raises
        ------
        DomainError
            If a limit lies outside the domain.
        SurrogateError
            If a name is unknown.

        Examples
        --------
        >>> surrogate = load_surrogate("ecoli_ijo1366")
        >>> bool(abs(surrogate.predict([8.0, 15.0, 0.0], ["growth"])[0] - 0.785) < 0.01)
        True
        """
        points = np.asarray(limits, dtype=float)
        self.domain.check(points)
        if names is not None:
            return chained(self.layers(names), points)
        fluxes: np.ndarray = chained((*self.hidden, self.weights), points) @ self.modes + self.offset
        return fluxes

    def trusts(self, limits: Mapping[str, float]) -> None:
        """Refuse uptake limits outside the domain.

        Raises
        ------
        DomainError
            Naming the limit and the range.
        """
        self.domain.check(np.maximum([limits[exchange] for exchange in self.inputs], self.domain.lower))

    def answers(self, names: Sequence[str]) -> "SurrogateCell":
        """The surrogate as who answers for the cell inside a reactor, reading ``names``."""
        return SurrogateCell(self.domain, tuple(names), self.layers(names))

    def save(self, folder: str | Path) -> Path:
        """Write arrays and card into a folder; readable without Keras."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        used = np.flatnonzero(np.any(self.modes != 0.0, axis=0) | (self.offset != 0.0))
        arrays = {"used": used, "modes": self.modes[:, used], "offset": self.offset[used]}
        for number, layer in enumerate((*self.hidden, self.weights)):
            arrays[f"weights_{number}"], arrays[f"bias_{number}"] = layer.weights, layer.bias
        write_whole(folder / _ARRAYS, lambda part: np.savez_compressed(part, allow_pickle=False, **arrays))
        description = {
            "schema": _SCHEMA,
            "domain": {name: list(limits) for name, limits in self.domain.limits.items()},
            "activations": [layer.activation for layer in (*self.hidden, self.weights)],
            "reactions": list(self.reactions),
            "biomass": self.biomass,
            "maintenance": self.maintenance,
            "maintenance_demand": self.maintenance_demand,
            "card": dict(self.card),
        }
        return write_whole(folder / _CARD, lambda part: part.write_text(json.dumps(description, indent=1) + "\n"))


@dataclass(frozen=True, eq=False)
class SurrogateCell:
    """A surrogate that answers for the cell: limits by name in, rates by name out."""

    domain: Domain
    names: tuple[str, ...]
    layers: tuple[Layer, ...]

    def __call__(self, limits: Mapping[str, float]) -> dict[str, float]:
        """Readings at the given uptake limits [mmol/gDW/h]; limits beyond the trusted box count as its edge."""
        domain = self.domain
        point = np.array([limits[exchange] for exchange in domain.inputs], dtype=float)
        point = np.clip(point, domain.lower - _BELOW * (domain.upper - domain.lower), domain.upper)
        return dict(zip(self.names, chained(self.layers, point).tolist(), strict=True))


def load_surrogate(source: str | Path) -> Surrogate:
    """Load a surrogate from a folder, or by the name of one that ships with mmopt.

    Raises
    ------
    SurrogateError
        If there is none, or its files are damaged.

    Examples
    --------
    >>> load_surrogate("ecoli_ijo1366").inputs
    ('EX_glc__D_e', 'EX_o2_e', 'EX_ac_e')
    """
    folder = Path(source)
    if not folder.is_dir() and str(source) in shipped_surrogates():
        folder = _shipped() / str(source)
    if not (folder / _CARD).is_file():
        raise SurrogateError(
            f"there is no surrogate '{source}': no folder with {_CARD}, and none of that name ships; "
            f"{nearest(str(source), shipped_surrogates())}"
        )
    try:
        told = json.loads((folder / _CARD).read_text())
        if told["schema"] != _SCHEMA:
            raise SurrogateError(f"{folder} has schema {told['schema']}, this mmopt reads {_SCHEMA}; train it again")
        with (folder / _ARRAYS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return _assemble(told, {name: arrays[name] for name in arrays.files})
    except SurrogateError:
        raise
    except Exception as error:  # a damaged zip or JSON fails in many ways; each means the same to a user
        raise SurrogateError(f"{folder} is damaged ({type(error).__name__}: {error}); train it again") from error


def shipped_surrogates() -> tuple[str, ...]:
    """Names of the surrogates that ship with mmopt."""
    return tuple(sorted(folder.name for folder in _shipped().iterdir() if (folder / _CARD).is_file()))


def _shipped() -> Path:
    return Path(str(files("mmopt.shipped").joinpath("")))


def _assemble(told: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Surrogate:
    layers = [
        Layer(arrays[f"weights_{number}"], arrays[f"bias_{number}"], str(activation))
        for number, activation in enumerate(told["activations"])
    ]
    reactions = tuple(told["reactions"])
    modes = np.zeros((len(arrays["modes"]), len(reactions)))
    offset = np.zeros(len(reactions))
    modes[:, arrays["used"]], offset[arrays["used"]] = arrays["modes"], arrays["offset"]
    return Surrogate(
        domain=Domain({name: (low, high) for name, (low, high) in told["domain"].items()}),
        hidden=tuple(layers[:-1]),
        weights=layers[-1],
        modes=modes,
        offset=offset,
        reactions=reactions,
        biomass=told["biomass"],
        maintenance=told["maintenance"],
        maintenance_demand=float(told["maintenance_demand"]),
        card=told["card"],
    )


def _check_shapes(surrogate: Surrogate) -> None:
    width = len(surrogate.inputs)
    for layer in (*surrogate.hidden, surrogate.weights):
        if layer.activation not in ACTIVATIONS:
            raise SurrogateError(f"activation '{layer.activation}' is unknown; known: {', '.join(ACTIVATIONS)}")
        if layer.weights.ndim != 2 or layer.weights.shape[0] != width or layer.bias.shape != layer.weights.shape[1:]:
            raise SurrogateError(f"a layer of shape {layer.weights.shape} cannot follow {width} values; train it again")
        width = layer.weights.shape[1]
    if surrogate.weights.activation != "linear":
        raise SurrogateError("the last layer must be linear: it weighs the flux modes")
    if surrogate.modes.shape != (width, len(surrogate.reactions)):
        raise SurrogateError(f"{surrogate.modes.shape} modes do not fit {width} weights; train it again")
    every = (
        surrogate.modes,
        surrogate.offset,
        *(part for layer in (*surrogate.hidden, surrogate.weights) for part in (layer.weights, layer.bias)),
    )
    if not all(np.all(np.isfinite(array)) for array in every):
        raise SurrogateError("the surrogate holds numbers that are not finite; train it again")
