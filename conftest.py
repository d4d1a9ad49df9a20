"""Docstring examples may use the public names, as a user's script does."""

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def public_names(request: pytest.FixtureRequest) -> None:
    """Put the public names into the namespace of doctests."""
    if "doctest_namespace" not in request.fixturenames and not hasattr(request.node, "dtest"):
        return
    import numpy as np
    import pyomo.environ as pyo

    import mmopt
    from mmopt.results import trajectory

    names: dict[str, Any] = request.getfixturevalue("doctest_namespace")
    names.update({name: getattr(mmopt, name) for name in mmopt.__all__})
    names.update(np=np, pyo=pyo, trajectory=trajectory)
