"""Inner products of the derivatives by all weights of dense layers: a derivative is the product of two factors."""

import numpy as np


def products_of_columns(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute all products of a column of one with a column of the other.

    Parameters
    ----------
    a, b
        Shapes (points, columns).

    Returns
    -------
    ndarray
        Shape (points, columns of a times those of b).
    """
    product: np.ndarray = (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)
    return product


def products_of_two(a: np.ndarray, back_a: np.ndarray, b: np.ndarray, back_b: np.ndarray) -> np.ndarray:
    """Compute inner products of the derivatives by all weights of two layers.

    Parameters
    ----------
    a, b
        Inputs of the two layers, shapes (points, units + 1).
    back_a, back_b
        Derivatives by their pre-activations, shapes (points, units, outputs).

    Returns
    -------
    ndarray
        Shape (weights of the first layer, weights of the second).
    """
    between = np.matmul(back_a, back_b.transpose(0, 2, 1))
    units_a, units_b = between.shape[1:]
    block = products_of_columns(a, b).T @ between.reshape(len(a), -1)
    ordered = block.reshape(a.shape[1], b.shape[1], units_a, units_b).transpose(0, 2, 1, 3)
    whole: np.ndarray = ordered.reshape(a.shape[1] * units_a, b.shape[1] * units_b)
    return whole


def products_of_one(a: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Compute `products_of_two` of a layer with itself: half of them follow from the other half.

    Parameters
    ----------
    a
        Inputs of the layer, shape (points, units + 1).
    back
        Derivatives by its pre-activations, shape (points, units, outputs).

    Returns
    -------
    ndarray
        Shape (weights, weights).
    """
    columns, units = a.shape[1], back.shape[1]
    (i, j), (k, m) = np.triu_indices(columns), np.triu_indices(units)
    between = np.matmul(back, back.transpose(0, 2, 1))[:, k, m]
    block = (a[:, i] * a[:, j]).T @ between
    whole = np.empty((columns, columns, units, units))
    for first, second in ((i, j), (j, i)):
        for this, other in ((k, m), (m, k)):
            whole[first[:, None], second[:, None], this, other] = block
    return np.ascontiguousarray(whole.transpose(0, 2, 1, 3)).reshape(columns * units, columns * units)
