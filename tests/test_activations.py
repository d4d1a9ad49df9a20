"""One table of activations: values, derivatives and expressions agree with each other and stay finite far from zero."""

import casadi
import numpy as np
import pyomo.environ as pyo
import pytest

from mmopt.solvers.activations import ACTIVATIONS

POINTS = np.linspace(-40.0, 40.0, 801)
EVERY = pytest.mark.parametrize("name", list(ACTIVATIONS))


@EVERY
def test_value_of_derivatives_is_the_value(name: str) -> None:
    activation = ACTIVATIONS[name]
    assert activation.derivatives(POINTS, np)[0] == pytest.approx(activation(POINTS), abs=1.0e-14)


@EVERY
def test_derivatives_match_finite_differences(name: str) -> None:
    activation, step = ACTIVATIONS[name], 1.0e-5
    z = np.linspace(-5.0, 5.0, 101)
    _, slope, curvature = (np.broadcast_to(values, z.shape) for values in activation.derivatives(z, np))
    assert slope == pytest.approx((activation(z + step) - activation(z - step)) / (2.0 * step), abs=1.0e-8)
    later, earlier = (activation.derivatives(z + sign * step, np)[1] for sign in (1.0, -1.0))
    assert curvature == pytest.approx(np.broadcast_to((later - earlier) / (2.0 * step), z.shape), abs=1.0e-8)


@EVERY
def test_slope_of_the_value_is_the_slope(name: str) -> None:
    activation = ACTIVATIONS[name]
    slope = np.broadcast_to(activation.derivatives(POINTS, np)[1], POINTS.shape)
    assert activation.slope_of_value(activation(POINTS)) == pytest.approx(slope, abs=1.0e-12)


@EVERY
def test_casadi_computes_the_same_derivatives(name: str) -> None:
    z = casadi.MX.sym("z", len(POINTS))
    results = ACTIVATIONS[name].derivatives(z, casadi)
    from_casadi = casadi.Function("f", [z], [casadi.MX(result) for result in results])(POINTS)
    for one, other in zip(from_casadi, ACTIVATIONS[name].derivatives(POINTS, np), strict=True):
        expected = np.broadcast_to(other, POINTS.shape)
        assert np.broadcast_to(np.asarray(one).ravel(), POINTS.shape) == pytest.approx(expected, abs=1.0e-14)


@EVERY
@pytest.mark.parametrize("x", [-1.0e4, -3.0, 0.0, 0.5, 1.0e4])
def test_pyomo_expression_computes_the_value(name: str, x: float) -> None:
    variable = pyo.Var(initialize=x)
    variable.construct()
    activation = ACTIVATIONS[name]
    expected = float(activation(np.array([x]))[0])
    assert pyo.value(activation.expression(variable, pyo)) == pytest.approx(expected, abs=1.0e-12)


@EVERY
def test_values_stay_in_the_range_and_increase(name: str) -> None:
    activation = ACTIVATIONS[name]
    values, (low, high) = activation(np.linspace(-10.0, 10.0, 101)), activation.range
    assert np.all((low < values) & (values < high))
    assert np.all(np.diff(values) > 0.0)


def test_table_is_read_only() -> None:
    with pytest.raises(TypeError, match="does not support item assignment"):
        ACTIVATIONS["relu"] = ACTIVATIONS["tanh"]  # type: ignore[index]
