"""A chain of dense layers that grows operator by operator: scalings and shifts are folded into the layers beside them."""

from dataclasses import replace
from typing import Final

import numpy as np

from mmopt.io.foreign_file import ForeignFile
from mmopt.surrogate.layer import Layer

_WIDEST: Final = 2048
"""Most values that a layer of its own scales: it is a square matrix."""


class DenseChain:
    """Dense layers so far, and a scaling that waits for the next one.

    Parameters
    ----------
    file
        The file that describes the network, for messages.
    inputs
        Number of values that the chain takes.

    Examples
    --------
    >>> from pathlib import Path
    >>> chain = DenseChain(ForeignFile(Path("network.onnx"), "save it again"), 2)
    >>> chain.scale(np.array(2.0), np.array([1.0, -1.0]))
    >>> chain.dense(np.ones((2, 1)), np.zeros(1))
    >>> chain.layers()[0].weights.ravel().tolist()
    [2.0, 2.0]
    """

    def __init__(self, file: ForeignFile, inputs: int) -> None:
        self._file, self._inputs = file, inputs
        self._layers: list[Layer] = []
        self._waiting: tuple[np.ndarray, np.ndarray] | None = None
        self._dense = False

    @property
    def width(self) -> int:
        """Number of values that the chain gives so far."""
        return self._layers[-1].weights.shape[1] if self._layers else self._inputs

    def dense(self, weights: np.ndarray, bias: np.ndarray) -> None:
        """Append a dense layer.

        Parameters
        ----------
        weights
            Shape (inputs, outputs).
        bias
            Shape (outputs,).
        """
        if weights.ndim != 2 or bias.shape != weights.shape[1:]:
            self._file.refuse(f"holds a layer of weights {weights.shape} and bias {bias.shape}")
        if self._waiting is not None:
            factor, offset = self._waiting
            if len(weights) != self.width:
                self._file.refuse(f"holds a layer that takes {len(weights)} values, but gets {self.width}")
            weights, bias = factor[:, None] * weights, bias + offset @ weights
            self._waiting = None
        self._layers.append(Layer(weights, bias, "linear"))
        self._dense = True

    def scale(self, factor: np.ndarray, offset: np.ndarray) -> None:
        """Append x -> factor * x + offset.

        Parameters
        ----------
        factor, offset
            A number, or one for every value.
        """
        factor, offset = self._row(factor), self._row(offset)
        if self._waiting is not None:
            before, shift = self._waiting
            self._waiting = (factor * before, factor * shift + offset)
        elif self._layers and self._layers[-1].activation == "linear":
            last = self._layers[-1]
            self._layers[-1] = Layer(last.weights * factor, last.bias * factor + offset, "linear")
        else:
            self._waiting = (factor, offset)

    def activate(self, name: str) -> None:
        """Append an activation.

        Parameters
        ----------
        name
            One of the names in `ACTIVATIONS`.
        """
        if name == "linear":
            return
        if self._waiting is not None or not self._layers or self._layers[-1].activation != "linear":
            self._append_waiting()
        self._layers[-1] = replace(self._layers[-1], activation=name)

    def layers(self) -> list[Layer]:
        """Return the layers, once all operators are appended."""
        if not self._dense:
            self._file.refuse("holds no dense layer")
        if self._waiting is not None:
            self._append_waiting()
        return list(self._layers)

    def _append_waiting(self) -> None:
        """A layer of its own for the scaling that waits, or for nothing at all."""
        if self.width > _WIDEST:
            self._file.refuse(f"scales {self.width} values, more than {_WIDEST}, without a dense layer beside")
        factor, offset = self._waiting or (np.ones(self.width), np.zeros(self.width))
        self._layers.append(Layer(np.diag(factor), offset, "linear"))
        self._waiting = None

    def _row(self, array: np.ndarray) -> np.ndarray:
        """One number for every value."""
        row = array[0] if array.ndim == 2 and len(array) == 1 else array
        if row.shape not in ((), (1,), (self.width,)):
            self._file.refuse(
                f"adds an array of shape {array.shape} to {self.width} values, or multiplies them with it"
            )
        return np.broadcast_to(row.astype(float), (self.width,))
