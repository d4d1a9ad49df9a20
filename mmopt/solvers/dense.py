"""A dense network at many points at once, with exact derivatives: a grey box for Pyomo, CasADi functions for Ipopt.

All points pass the layers together, as columns of one matrix, and derivatives are propagated forward with them: values,
slopes by every input and curvatures by every pair of inputs. There is no automatic differentiation, and no expression per
point.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any, Protocol, cast

import casadi
import numpy as np
from pyomo.contrib.pynumero.interfaces.external_grey_box import ExternalGreyBoxModel
from scipy.sparse import coo_matrix

from mmopt.errors import StudyError
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.solvers.affine_law import Mixture, product


class Dense(Protocol):
    """One layer: ``activation(x @ weights + bias)``."""

    @property
    def weights(self) -> np.ndarray:
        """Shape (inputs, units)."""

    @property
    def bias(self) -> np.ndarray:
        """Shape (units,)."""

    @property
    def activation(self) -> str:
        """``linear``, ``tanh``, ``sigmoid`` or ``softplus``."""


Layers = Sequence[Dense | Mixture]
"""Dense layers, or the one layer of a soft law."""


def width_of(layers: Layers) -> tuple[int, int]:
    """Return the numbers of inputs and outputs of a network.

    Parameters
    ----------
    layers
        The network.

    Returns
    -------
    inputs, outputs
    """
    first = layers[0]
    if isinstance(first, Mixture):
        return first.scores.shape[1], first.affine_laws.shape[2]
    return first.weights.shape[0], cast(Dense, layers[-1]).weights.shape[1]


def derivatives(layers: Layers, inputs: Any, of: Any) -> tuple[Any, list[Any], dict[tuple[int, int], Any]]:
    """Compute values, slopes and curvatures of a network.

    Parameters
    ----------
    layers
        The network.
    inputs
        Shape (inputs, points), of NumPy or CasADi.
    of
        Module whose functions are used, `numpy` or `casadi`.

    Returns
    -------
    values, slopes, curvatures
        All of shape (outputs, points): one array, one per input, one per pair of inputs (i <= j).

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> layer = SimpleNamespace(weights=np.array([[2.0]]), bias=np.zeros(1), activation="tanh")
    >>> values, slopes, curvatures = derivatives([layer], np.zeros((1, 1)), np)
    >>> float(values[0, 0]), float(slopes[0][0, 0]), float(curvatures[0, 0][0, 0])
    (0.0, 2.0, -0.0)
    """
    if isinstance(layers[0], Mixture):
        return layers[0].derivatives(inputs, of)
    count = width_of(layers)[0]
    pairs = list(combinations_with_replacement(range(count), 2))
    values: Any = inputs
    slopes: list[Any] = []
    curvatures: dict[tuple[int, int], Any] = {}
    for depth, layer in enumerate(cast(Sequence[Dense], layers)):
        transposed = np.ascontiguousarray(layer.weights.T)
        points = inputs.shape[1]
        sums = product(transposed, values, of) + np.repeat(layer.bias[:, None], points, axis=1)
        if depth == 0:
            moved = [np.repeat(transposed[:, [k]], points, axis=1) for k in range(count)]
        else:
            moved = [product(transposed, slope, of) for slope in slopes]
        values, slope, bend = ACTIVATIONS[layer.activation].derivatives(sums, of)
        bent = {}
        for i, j in pairs:
            turn = bend * moved[i] * moved[j]
            bent[i, j] = turn if depth == 0 else turn + slope * product(transposed, curvatures[i, j], of)
        slopes, curvatures = [slope * change for change in moved], bent
    return values, slopes, curvatures


class NetworkAtPoints(ExternalGreyBoxModel):  # type: ignore[misc]
    """A network at some points as a Pyomo grey box: inputs and outputs point after point.

    Parameters
    ----------
    layers
        The network.
    points
        Number of points.

    Raises
    ------
    StudyError
        If there is no layer or no point.
    """

    def __init__(self, layers: Layers, points: int) -> None:
        super().__init__()
        if not layers or points < 1:
            raise StudyError(f"the network has {len(layers)} layers and {points} points; give at least one of both")
        self.layers = tuple(layers)
        self.points = points
        inputs, outputs = width_of(layers)
        self._given, self._push = np.zeros((inputs, points)), np.zeros((outputs, points))

    @property
    def width(self) -> tuple[int, int]:
        """Inputs and outputs of one point."""
        return self._given.shape[0], self._push.shape[0]

    def input_names(self) -> list[str]:
        """Names of all inputs."""
        return [f"in_{point}_{k}" for point in range(self.points) for k in range(self.width[0])]

    def output_names(self) -> list[str]:
        """Names of all outputs."""
        return [f"out_{point}_{k}" for point in range(self.points) for k in range(self.width[1])]

    def set_input_values(self, input_values: Sequence[float]) -> None:
        """Set the inputs.

        Parameters
        ----------
        input_values
            Shape (points * inputs,).
        """
        self._given = np.asarray(input_values, dtype=float).reshape(self.points, -1).T

    def set_output_constraint_multipliers(self, output_con_multiplier_values: Sequence[float]) -> None:
        """Set the multipliers of the equations of the outputs.

        Parameters
        ----------
        output_con_multiplier_values
            Shape (points * outputs,).
        """
        self._push = np.asarray(output_con_multiplier_values, dtype=float).reshape(self.points, -1).T

    def evaluate_outputs(self) -> np.ndarray:
        """Compute the outputs, shape (points * outputs,)."""
        values: np.ndarray = derivatives(self.layers, self._given, np)[0].T.ravel()
        return values

    def evaluate_jacobian_outputs(self) -> coo_matrix:
        """Compute the derivatives of all outputs by all inputs."""
        count, outputs = self.width
        slopes = np.stack(derivatives(self.layers, self._given, np)[1], axis=-1).transpose(1, 0, 2)
        point, output, given = np.indices((self.points, outputs, count)).reshape(3, -1)
        shape = (self.points * outputs, self.points * count)
        return coo_matrix((slopes.ravel(), (point * outputs + output, point * count + given)), shape=shape)

    def evaluate_hessian_outputs(self) -> coo_matrix:
        """Compute the lower triangle of the second derivative of the sum of all outputs, times their multipliers."""
        count = self.width[0]
        curvatures = derivatives(self.layers, self._given, np)[2]
        rows, columns, data = [], [], []
        for (i, j), bend in curvatures.items():
            rows.append(np.arange(self.points) * count + j)
            columns.append(np.arange(self.points) * count + i)
            data.append(np.sum(self._push * bend, axis=0))
        size = self.points * count
        return coo_matrix((np.concatenate(data), (np.concatenate(rows), np.concatenate(columns))), shape=(size, size))


class AtColumns:
    """A network at points whose inputs are entries of a long vector, as CasADi functions of that vector.

    Parameters
    ----------
    layers
        The network.
    inputs
        Positions of the inputs in the vector, shape (points, inputs).
    size
        Length of the vector.

    Attributes
    ----------
    values
        The vector to the outputs, (points * outputs,).
    jacobian
        The vector to the derivatives of the outputs, (points * outputs, size).
    hessian
        The vector and multipliers of the outputs to the upper triangle of the second derivative, (size, size).
    """

    def __init__(self, layers: Layers, inputs: np.ndarray, size: int) -> None:
        points, count = inputs.shape
        outputs = width_of(layers)[1]
        x = casadi.MX.sym("x", size)
        push = casadi.MX.sym("push", points * outputs)
        given = casadi.reshape(x[inputs.ravel().tolist()], count, points)
        values, slopes, curvatures = derivatives(layers, given, casadi)
        self.values = casadi.Function("values", [x], [casadi.vec(values)])
        rows = np.arange(points * outputs)
        row = np.concatenate([rows for _ in range(count)])
        column = np.concatenate([np.repeat(inputs[:, k], outputs) for k in range(count)])
        jacobian = sparse(points * outputs, size, row, column, casadi.vertcat(*map(casadi.vec, slopes)))
        self.jacobian = casadi.Function("jacobian", [x], [jacobian])
        pushed = casadi.reshape(push, outputs, points)
        bends = [casadi.sum1(pushed * bend).T for bend in curvatures.values()]
        ends = [np.sort(inputs[:, list(pair)], axis=1) for pair in curvatures]
        row, column = (np.concatenate([end[:, side] for end in ends]) for side in (0, 1))
        hessian = sparse(size, size, row, column, casadi.vertcat(*bends))
        self.hessian = casadi.Function("hessian", [x, push], [hessian])


def sparse(rows: int, columns: int, row: np.ndarray, column: np.ndarray, data: Any) -> Any:
    """Return a sparse matrix of entries at different positions.

    Parameters
    ----------
    rows, columns
        Its shape.
    row, column
        Positions of the entries.
    data
        The entries, an expression of CasADi.

    Returns
    -------
    casadi.MX
    """
    pattern, mapping = casadi.Sparsity.triplet(rows, columns, row.tolist(), column.tolist(), False)
    return casadi.MX(pattern, data[mapping])
