"""Checked dataclasses stay dataclasses: they copy, change, inherit and travel, and name a wrong argument."""

import pickle
from dataclasses import FrozenInstanceError, replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest

from mmopt.arguments import finite, shown, whole
from mmopt.checking import Count, Positive, checked, checked_arguments
from mmopt.errors import DomainError, StudyError


@checked
class Pump:
    """A pump."""

    rate: Positive
    heads: Count = 1
    names: tuple[str, ...] = ()

    @cached_property
    def total(self) -> float:
        return self.rate * self.heads


class Loud(Pump):
    """A pump of a user's own."""


@checked(error=DomainError)
class Valve:
    """A valve with pumps."""

    pumps: tuple[Pump, ...]


@checked_arguments
def doubled(rate: Positive, *, times: Count = 1) -> float:
    return 2.0 * rate * times


def test_values_are_computed_once() -> None:
    pump = Pump(0.5, 4)
    assert pump.total == 2.0
    assert pump.__dict__["total"] == 2.0


def test_nothing_changes_after_construction() -> None:
    with pytest.raises(FrozenInstanceError):
        Pump(0.5).rate = 1.0  # type: ignore[misc]


def test_changed_copy_is_checked() -> None:
    assert replace(Pump(0.5), heads=2) == Pump(0.5, 2)
    with pytest.raises(StudyError, match="Pump: rate is -1"):
        replace(Pump(0.5), rate=-1)


def test_pickled_copy_is_equal() -> None:
    assert pickle.loads(pickle.dumps(Pump(0.5, 2, ("a",)))) == Pump(0.5, 2, ("a",))


def test_subclass_is_checked() -> None:
    assert Loud(0.5, 4).total == 2.0
    with pytest.raises(StudyError, match="rate is 0; it should be greater than 0"):
        Loud(0)


def test_numbers_of_numpy_are_numbers() -> None:
    assert Pump(np.float32(0.5), np.int64(3)) == Pump(0.5, 3)


def test_nested_mappings_become_objects() -> None:
    assert Valve(pumps=[{"rate": 0.5}]) == Valve((Pump(0.5),))  # type: ignore[arg-type, list-item]


def test_error_is_of_the_kind_that_the_class_names() -> None:
    with pytest.raises(DomainError, match=r"Valve: pumps\.0\.rate is -1; it should be greater than 0"):
        Valve(pumps=[{"rate": -1}])  # type: ignore[arg-type, list-item]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((), {}, "Pump: rate is missing; give it"),
        ((1.0, 2, (), 4), {}, "Pump: 4 is given as an argument too many"),
        ((1.0,), {"rate": 2.0}, "Pump: rate is given twice; give it once"),
        ((1.0,), {"head": 2}, "Pump: there is no argument 'head'"),
        ((1.0, 1.5), {}, "Pump: heads is 1.5; it should be a whole number"),
        ((True,), {}, "Pump: rate is True; it should be a number"),
        (("x", 0), {}, "Pump: rate is 'x'; it should be a number; heads is 0; it should be greater than or equal to 1"),
        ((1.0, 1, 3), {}, "Pump: names is 3; it should be a list"),
        ((np.array([1.0]),), {}, "Pump: rate is array"),
    ],
)
def test_wrong_argument_is_named(arguments: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError) as caught:
        Pump(*arguments, **options)
    assert str(caught.value).startswith(message)


def test_wrong_argument_of_a_function_is_named() -> None:
    assert doubled(1, times=2) == 4.0
    with pytest.raises(StudyError, match="doubled: times is 0; it should be greater than or equal to 1"):
        doubled(1.0, times=0)


@pytest.mark.parametrize("value", [None, "x", np.nan, True, -1, 1.5, 10**400, [1]])
def test_what_is_no_count_is_refused(value: Any) -> None:
    with pytest.raises(StudyError, match=r"n is .*; give a whole number, at least 0"):
        whole("n", value)


@pytest.mark.parametrize("value", [None, "x", np.nan, np.inf, True, 0.0, 10**400, [1]])
def test_what_is_no_number_above_zero_is_refused(value: Any) -> None:
    with pytest.raises(StudyError, match=r"kla is .*; give a finite number above 0 \[1/h\]"):
        finite("kla", value, above=0.0, unit="1/h")


def test_any_value_is_shown_in_one_short_line() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    for value in (object(), Broken(), "x" * 1000, dict.fromkeys(range(100), "\n"), 10**5000, float, lambda: None):
        assert 0 < len(shown(value)) <= 60
        assert " at 0x" not in shown(value)
        assert "\n" not in shown(value)
