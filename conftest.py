"""Docstring examples may use the public names, as a user's script does; Ctrl-C works in what tests start."""

import pkgutil
import signal
from importlib import import_module
from typing import Any

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a caller that ignores it (nohup, a background job) hands that on: children would ignore the SIGINT a test sends
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
    folders = [import_module(f"mmopt.{one.name}") for one in pkgutil.iter_modules(mmopt.__path__) if one.ispkg]
    for package in (mmopt, *folders):
        names.update({name: getattr(package, name) for name in getattr(package, "__all__", ())})
    names.update(np=np, pyo=pyo, trajectory=trajectory)
