"""Docstring examples may use the public names, as a user's script does."""

import pkgutil
from importlib import import_module
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
    folders = [import_module(f"mmopt.{each.name}") for each in pkgutil.iter_modules(mmopt.__path__) if each.ispkg]
    for package in (mmopt, *folders):
        names.update({name: getattr(package, name) for name in getattr(package, "__all__", ())})
    names.update(np=np, pyo=pyo, trajectory=trajectory)
