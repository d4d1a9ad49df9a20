"""Regions of a box have the corners, facets and volumes that geometry gives them."""

from math import factorial

import numpy as np
import pytest

from mmopt.fba.polytope import Polytope, polytope


def unit(left: list[list[float]], right: list[float], dimensions: int | None = None) -> Polytope | None:
    size = dimensions or len(left[0])
    return polytope(np.array(left).reshape(-1, size), np.array(right), np.zeros(size), np.ones(size))


def as_rows(points: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(point) for point in (np.round(points, 9) + 0.0).tolist()}


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_box_without_conditions_is_whole(dimensions: int) -> None:
    assert unit([], [], dimensions).volume == pytest.approx(1.0, abs=1.0e-12)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_box_has_all_its_corners(dimensions: int) -> None:
    assert len(unit([], [], dimensions).corners) == 2**dimensions


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_box_has_nothing_beyond(dimensions: int) -> None:
    assert len(unit([], [], dimensions).beyond[0]) == 0


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_simplex_has_its_volume(dimensions: int) -> None:
    simplex = unit([[1.0] * dimensions], [0.8])
    assert simplex.volume == pytest.approx(0.8**dimensions / factorial(dimensions), rel=1.0e-9)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_simplex_has_its_corners(dimensions: int) -> None:
    expected = np.vstack([np.zeros(dimensions), 0.8 * np.eye(dimensions)])
    assert as_rows(unit([[1.0] * dimensions], [0.8]).corners) == as_rows(expected)


def test_simplex_has_its_facets() -> None:
    simplex = unit([[1.0, 1.0, 1.0]], [0.8])
    rows = np.column_stack([simplex.left, simplex.right])
    slanted = np.array([1.0, 1.0, 1.0, 0.8]) / np.sqrt(3.0)
    assert as_rows(rows) == as_rows(np.vstack([np.column_stack([-np.eye(3), np.zeros(3)]), slanted]))


def test_cube_without_a_corner_has_its_volume() -> None:
    assert unit([[1.0, 1.0, 1.0]], [2.5]).volume == pytest.approx(1.0 - 0.5**3 / 6.0, rel=1.0e-9)


def test_cube_without_a_corner_has_three_for_it() -> None:
    assert len(unit([[1.0, 1.0, 1.0]], [2.5]).corners) == 10


def test_box_of_any_size_is_cut_in_its_own_units() -> None:
    cut = polytope(np.array([[1.0, 1.0]]), np.array([5.0]), np.array([1.0, 2.0]), np.array([5.0, 6.0]))
    assert as_rows(cut.corners) == {(1.0, 2.0), (3.0, 2.0), (1.0, 4.0)}


def test_volume_is_a_part_of_the_box() -> None:
    cut = polytope(np.array([[1.0, 1.0]]), np.array([5.0]), np.array([1.0, 2.0]), np.array([5.0, 6.0]))
    assert cut.volume == pytest.approx(2.0 / 16.0, rel=1.0e-9)


def test_facets_have_length_one() -> None:
    cut = polytope(np.array([[3.0, 0.01]]), np.array([5.0]), np.zeros(2), np.array([4.0, 100.0]))
    assert np.linalg.norm(cut.left, axis=1) == pytest.approx(np.ones(len(cut.left)))


@pytest.mark.parametrize(
    "extra",
    [([1.0, 1.0], 5.0), ([1.0, 0.0], 1.0), ([2.0, 2.0], 1.6), ([1.0, 1.0], 0.8), ([1.0, 1.0], 0.9), ([1e-13, 0], 1.0)],
    ids=str,
)
def test_condition_too_many_is_dropped(extra: tuple[list[float], float]) -> None:
    more, one = unit([[1.0, 1.0], extra[0]], [0.8, extra[1]]), unit([[1.0, 1.0]], [0.8])
    assert as_rows(np.column_stack([more.left, more.right])) == as_rows(np.column_stack([one.left, one.right]))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([[1.0, 1.0]], [0.0]),
        ([[1.0, 0.0], [-1.0, 0.0]], [0.5, -0.5]),
        ([[1.0, 1.0], [-1.0, -1.0]], [0.5, -0.5 + 1.0e-10]),
        ([[1.0, 0.0]], [0.0]),
    ],
    ids=["corner", "plane", "sliver", "face"],
)
def test_flat_region_is_none(left: list[list[float]], right: list[float]) -> None:
    assert unit(left, right) is None


@pytest.mark.parametrize(
    ("left", "right"),
    [([[1.0, 1.0]], [-0.1]), ([[1.0, 0.0], [-1.0, 0.0]], [0.3, -0.6]), ([[0.0, 0.0]], [-1.0])],
    ids=["outside", "against each other", "never"],
)
def test_empty_region_is_none(left: list[list[float]], right: list[float]) -> None:
    assert unit(left, right) is None


def test_condition_on_nothing_that_holds_changes_nothing() -> None:
    assert unit([[0.0, 0.0]], [0.0]).volume == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("left", "right", "ends"),
    [
        ([], [], (2.0, 6.0)),
        ([[1.0]], [5.0], (2.0, 5.0)),
        ([[-2.0]], [-6.0], (3.0, 6.0)),
        ([[1.0], [3.0], [-1.0]], [5.0, 13.5, -4.0], (4.0, 4.5)),
    ],
    ids=["whole", "above", "below", "between"],
)
def test_interval_has_its_ends(left: list[list[float]], right: list[float], ends: tuple[float, float]) -> None:
    found = polytope(np.array(left).reshape(-1, 1), np.array(right), np.array([2.0]), np.array([6.0]))
    assert sorted(found.corners[:, 0].tolist()) == pytest.approx(ends)


@pytest.mark.parametrize(("most", "part"), [(5.0, 0.75), (6.0, 1.0), (2.004, 0.001)])
def test_interval_has_its_part_of_the_whole(most: float, part: float) -> None:
    found = polytope(np.array([[1.0]]), np.array([most]), np.array([2.0]), np.array([6.0]))
    assert found.volume == pytest.approx(part)


@pytest.mark.parametrize("most", [2.0, 1.0])
def test_interval_without_length_is_none(most: float) -> None:
    assert polytope(np.array([[1.0]]), np.array([most]), np.array([2.0]), np.array([6.0])) is None


def random_body(seed: int, dimensions: int) -> tuple[np.ndarray, np.ndarray, Polytope]:
    """Half-spaces that all hold some ball, and their body."""
    generator = np.random.default_rng([seed, dimensions])
    left = generator.normal(size=(12, dimensions))
    right = left @ generator.uniform(0.3, 0.7, dimensions) + np.linalg.norm(left, axis=1) * generator.uniform(
        0.05, 0.6, 12
    )
    return left, right, polytope(left, right, np.zeros(dimensions), np.ones(dimensions))


SEEDS, DIMENSIONS = pytest.mark.parametrize("seed", range(4)), pytest.mark.parametrize("dimensions", [1, 2, 3, 4])


@SEEDS
@DIMENSIONS
def test_random_body_has_the_volume_that_random_points_measure(seed: int, dimensions: int) -> None:
    left, right, body = random_body(seed, dimensions)
    thrown = np.random.default_rng(seed).random((100_000, dimensions))
    part = np.all(thrown @ left.T <= right, axis=1).mean()
    assert body.volume == pytest.approx(part, abs=5.0 * np.sqrt(part * (1.0 - part) / len(thrown)) + 1.0e-9)


@SEEDS
@DIMENSIONS
def test_random_body_is_what_its_facets_hold(seed: int, dimensions: int) -> None:
    left, right, body = random_body(seed, dimensions)
    thrown = np.random.default_rng(seed).random((20_000, dimensions))
    by_facets = np.all(thrown @ body.left.T <= body.right, axis=1)
    assert np.array_equal(by_facets, np.all(thrown @ left.T <= right, axis=1))


@SEEDS
@DIMENSIONS
def test_random_body_keeps_no_facet_too_many(seed: int, dimensions: int) -> None:
    body = random_body(seed, dimensions)[2]
    touching = np.abs(body.corners @ body.left.T - body.right) < 1.0e-8
    assert touching.sum(axis=0).min() >= dimensions


@SEEDS
@DIMENSIONS
def test_corners_of_a_random_body_keep_every_condition(seed: int, dimensions: int) -> None:
    left, right, body = random_body(seed, dimensions)
    assert (body.corners @ left.T - right).max() < 1.0e-8


@SEEDS
@DIMENSIONS
def test_step_beyond_a_facet_breaks_one_condition(seed: int, dimensions: int) -> None:
    left, right, body = random_body(seed, dimensions)
    steps = [middle + 1.0e-7 * normal for middle, normal in zip(*body.beyond, strict=True)]
    assert [int(np.sum(left @ step > right)) for step in steps] == [1] * len(steps)


@SEEDS
@DIMENSIONS
def test_middle_of_a_facet_lies_in_the_box(seed: int, dimensions: int) -> None:
    middle = random_body(seed, dimensions)[2].beyond[0]
    assert np.all((middle > 0.0) & (middle < 1.0))


@pytest.mark.parametrize("scale", [1.0, 20.0, 1000.0])
@pytest.mark.parametrize("seed", range(4))
def test_corners_lie_in_the_box_to_the_last_bit(scale: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    upper = scale * np.array([1.0, 0.7, 3.0])
    left = random.normal(size=(12, 3)) * [1.0, 1.0e-3, 1.0]
    region = polytope(left, np.abs(left @ (0.3 * upper)) + 0.01 * scale, np.zeros(3), upper)
    assert region is not None
    assert region.corners.min() >= 0.0
    assert np.all(region.corners <= upper)


def test_corner_that_arithmetic_puts_outside_is_moved_onto_the_box() -> None:
    slanted = [[1.0, 1.0 + 1.0e-9], [-1.0, 1.0e-7]]
    region = polytope(np.array(slanted), np.array([1.0, 3.0e-10]), np.zeros(2), np.array([20.0, 20.0]))
    assert region is not None
    assert region.corners.min() >= 0.0
