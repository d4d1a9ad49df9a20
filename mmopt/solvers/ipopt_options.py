"""Options of Ipopt: mmopt's own, those of a warm start, and a check of a user's."""

import math
from collections.abc import Mapping
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import casadi

from mmopt.checking import shown
from mmopt.errors import StudyError

DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {"max_iter": 300, "tol": 1.0e-8, "acceptable_tol": 1.0e-6, "linear_solver": "mumps"}
)

WARM: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "warm_start_init_point": "yes",
        "mu_init": 1.0e-6,
        "warm_start_bound_push": 1.0e-8,
        "warm_start_bound_frac": 1.0e-8,
        "warm_start_slack_bound_push": 1.0e-8,
        "warm_start_slack_bound_frac": 1.0e-8,
        "warm_start_mult_bound_push": 1.0e-8,
    }
)
"""Options of a warm start: barrier and pushes small enough to stay near the solution it starts from."""


class Tuning(Enum):
    """How Ipopt searches, besides the options of the problem."""

    NEAR = "the options of the problem"
    CLOSE = "points that stay close to the equations, for a start that fulfils them"
    PRIMAL = "steps of the multipliers as long as those of the variables"
    FAR = "Ipopt's own defaults, for a start that may be far from the answer"

    @property
    def options(self) -> Mapping[str, Any]:
        """Options that differ from those of the problem."""
        return _TUNED[self]


_TUNED: Final[Mapping[Tuning, Mapping[str, Any]]] = MappingProxyType(
    {
        Tuning.NEAR: {},
        Tuning.CLOSE: {"theta_max_fact": 0.1},
        Tuning.PRIMAL: {"alpha_for_y": "primal"},
        Tuning.FAR: {
            "mu_init": 0.1,
            "bound_push": 1.0e-2,
            "bound_frac": 1.0e-2,
            "nlp_scaling_max_gradient": 100.0,
            "alpha_for_y": "primal",
        },
    }
)

_INVALID: Final = "Invalid_Option"
_UNKNOWN: Final = "No such IPOPT option"


def check_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Check options of a user, with the bundled Ipopt.

    Parameters
    ----------
    options
        Values by name of option.

    Returns
    -------
    dict
        The same options.

    Raises
    ------
    StudyError
        If Ipopt does not know an option, or does not accept its value.

    Examples
    --------
    >>> check_options({"max_iter": 50})
    {'max_iter': 50}
    >>> check_options({"max_itr": 50})
    Traceback (most recent call last):
    mmopt.errors.StudyError: Ipopt has no option 'max_itr'; see https://coin-or.github.io/Ipopt/OPTIONS.html
    """
    if options is not None and not isinstance(options, Mapping):
        raise StudyError(f"options of Ipopt are {shown(options)}; give a mapping of names to values")
    for name, value in (options or {}).items():
        plain = isinstance(value, str | int | float) and not isinstance(value, bool)
        if not isinstance(name, str) or not plain or (isinstance(value, float) and math.isnan(value)):
            raise StudyError(f"Ipopt option {shown(name)} is {shown(value)}; give a text or a number by name")
        refusal = _refusal(name, value)
        if _UNKNOWN in refusal:
            raise StudyError(f"Ipopt has no option {shown(name)}; see https://coin-or.github.io/Ipopt/OPTIONS.html")
        if refusal:
            raise StudyError(
                f"Ipopt does not accept {shown(value)} as its option '{name}', or its linear solver is not installed; "
                "see https://coin-or.github.io/Ipopt/OPTIONS.html"
            )
    return dict(options or {})


@cache
def _refusal(name: str, value: str | float) -> str:
    """What Ipopt reports of an option in a problem of one variable; empty if it accepts it."""
    x = casadi.SX.sym("x")
    settings = {"ipopt": {"print_level": 0, "sb": "yes", name: value}, "print_time": False}
    try:
        solver = casadi.nlpsol("options", "ipopt", {"x": x, "f": (x - 1.0) ** 2}, settings)
        solver(x0=0.0)
    except RuntimeError as error:
        return str(error)
    return _INVALID if solver.stats()["return_status"] == _INVALID else ""
