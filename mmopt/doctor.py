"""Check of an installation: packages, solvers, and problems with a known solution."""

import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import pyomo.environ as pyo

from mmopt.errors import MmoptError
from mmopt.fba.flux_program import pfba
from mmopt.network.reading import read_network
from mmopt.solvers.ipopt import NonlinearProgram
from mmopt.solvers.ipopt_executable import IpoptExecutable, find_executable
from mmopt.surrogate.loading import load_surrogate
from mmopt.surrogate.surrogate_file import shipped_surrogates

Finding = tuple[str, str, bool]
"""Subject, result, and whether it is in order."""

_PACKAGES: Final = (
    "mmopt",
    "cobra",
    "pyomo",
    "omlt",
    "casadi",
    "highspy",
    "idaes-pse",
    "keras",
    "numpy",
    "scipy",
    "xarray",
)
_TENSORFLOW: Final = ("tensorflow", "tensorflow-cpu")
_TENSORFLOW_USE: Final = 'tensorflow (exports to Keras and IDAES, trainer="keras")'

_OPTIONAL: Final = {
    "distributed": ("cluster", "tables of fluxes on a Dask cluster"),
    "pyarrow": ("parquet", "tables of fluxes as Parquet"),
    "onnx": ("onnx", "exports to and imports from ONNX"),
    "optuna": ("search", "the search for architectures"),
}
"""Packages of extras: the extra, and what it is for."""

_LINEAR_SOLVERS: Final = ("mumps", "ma27", "ma57", "ma97", "spral")

_PROBE: Final = """
import casadi, sys
x = casadi.MX.sym("x")
options = {"linear_solver": sys.argv[1], "print_level": 0, "sb": "yes"}
solver = casadi.nlpsol("probe", "ipopt", {"x": x, "f": x**2}, {"ipopt": options, "print_time": False})
solver(x0=1.0)
sys.exit(0 if solver.stats()["success"] else 1)
"""
"""A linear solver whose library is missing can end the whole process, so it is tried in another one."""

_ROSENBROCK: Final = 0.0
_TEXTBOOK_GROWTH: Final = 0.8739215
"""Aerobic growth of cobra's textbook network at 10 mmol/gDW/h glucose [1/h]."""


def examine() -> Iterator[Finding]:
    """Examine packages, solvers and shipped surrogates.

    Yields
    ------
    tuple
        Subject, result, and whether it is in order.

    Examples
    --------
    >>> from mmopt.doctor import examine
    >>> next(examine())[0]
    'python'
    """
    yield "python", f"{platform.python_version()} on {platform.platform()}", True
    for package in _PACKAGES:
        number = _version(package)
        yield package, number or "missing; install mmopt again", number is not None
    number = next((f"{name} {_version(name)}" for name in _TENSORFLOW if _version(name)), None)
    yield _TENSORFLOW_USE, number or "missing; everything else works. Install it with: pip install tensorflow", True
    for package, (extra, use) in _OPTIONAL.items():
        missing = f'missing; for {use}: pip install "mmopt[{extra}]"'
        yield f"{package} (optional)", _version(package) or missing, True
    yield _bundled()
    yield "linear solvers of the bundled Ipopt", ", ".join(_linear_solvers()), True
    yield from _executable()
    yield _highs()
    yield "shipped surrogates", ", ".join(shipped_surrogates()) or "none", bool(shipped_surrogates())
    for name in shipped_surrogates():
        growth = load_surrogate(name).card["held_out"]["growth"]
        yield f"surrogate {name}", f"growth within {growth['worst']:.4f} 1/h on held-out fluxes", True


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _rosenbrock() -> pyo.ConcreteModel:
    problem = pyo.ConcreteModel()
    problem.x = pyo.Var(initialize=-1.2)
    problem.y = pyo.Var(initialize=1.0)
    problem.cost = pyo.Objective(expr=(1.0 - problem.x) ** 2 + 100.0 * (problem.y - problem.x**2) ** 2)
    return problem


def _bundled() -> Finding:
    solve = NonlinearProgram(_rosenbrock()).solve()
    good = solve.status.solved and abs(solve.objective - _ROSENBROCK) < 1.0e-8
    return "bundled Ipopt (CasADi)", f"Rosenbrock's problem {solve.status.value} in {solve.iterations} iterations", good


def _linear_solvers() -> list[str]:
    """Names of the linear solvers with which the bundled Ipopt solves a problem, tried in a process of its own."""
    solvers = []
    for name in _LINEAR_SOLVERS:
        run = subprocess.run(  # noqa: S603 - our own interpreter and our own script
            [sys.executable, "-c", _PROBE, name], capture_output=True, check=False, timeout=60.0
        )
        if run.returncode == 0:
            solvers.append(name)
    return solvers


def _executable() -> Iterator[Finding]:
    path = find_executable()
    if path is None:
        yield "ipopt executable", "none; `idaes get-extensions` brings one with HSL. The bundled one is used", True
        return
    try:
        solve = IpoptExecutable(_rosenbrock(), path).solve()
        yield "ipopt executable (used for `optimise`)", f"{path}: {solve.status.value}", solve.status.solved
    except MmoptError as error:
        yield "ipopt executable", str(error), False


def _highs() -> Finding:
    growth = pfba(read_network("textbook"), {"EX_glc__D_e": 10.0}).growth
    return "HiGHS", f"textbook growth {growth:.7f} 1/h", abs(growth - _TEXTBOOK_GROWTH) < 1.0e-6
