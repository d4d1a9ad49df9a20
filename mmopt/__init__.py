"""Optimal feeds and predictive control of fermentations, from genome-scale metabolic networks.

The public names are loaded on first use, so that `import mmopt` is instant and TensorFlow is met only when training.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "errors": (
        "MmoptError",
        "NetworkError",
        "DomainError",
        "StudyError",
        "SurrogateError",
        "InfeasibleError",
        "SolverError",
    ),
    "status": ("Status",),
    "results": ("Trajectory", "load_trajectory"),
    "metabolism.network": ("Network",),
    "metabolism.reading": ("read_network",),
    "metabolism.fluxes": ("Fluxes", "Labels"),
    "metabolism.limits": ("LinearLimit",),
    "metabolism.pfba": ("LabelProgram", "pfba"),
    "metabolism.rules": ("reactions_lost",),
    "metabolism.variants": ("knock_out", "set_bounds", "set_medium", "set_objective"),
    "metabolism.deletions": ("essential", "single_deletions"),
    "metabolism.atlas": ("Atlas",),
    "metabolism.atlas_file": ("load_atlas",),
    "metabolism.domain": ("Domain",),
    "metabolism.table": ("FluxTable", "load_table"),
    "metabolism.sampling": ("sample",),
    "surrogate.surrogate": ("Surrogate",),
    "surrogate.surrogate_file": ("load_surrogate",),
    "surrogate.keras_export": ("export_keras", "idaes_surrogate"),
    "surrogate.keras_import": ("import_keras",),
    "surrogate.onnx_export": ("export_onnx",),
    "surrogate.onnx_import": ("import_onnx",),
    "surrogate.soft_law": ("SoftLaw", "soft_law"),
    "surrogate.train": ("train",),
    "surrogate.certify": ("Certificate", "certify"),
    "surrogate.learn": ("learn",),
    "surrogate.search": ("Search", "search"),
    "surrogate.embed": ("embed",),
    "reactor.system": ("Quantity", "System"),
    "reactor.bioreactor": ("Aeration", "Bioreactor", "Species", "Uptake"),
    "reactor.ecoli": ("ecoli_fed_batch",),
    "reactor.feeds": ("ConstantFeed", "ExponentialFeed", "LineFeed", "StepFeed"),
    "reactor.accumulate": ("Accumulating",),
    "reactor.simulate": ("simulate",),
    "control.horizon": ("Horizon",),
    "control.controls": ("Control",),
    "control.objective": ("Objective", "least_time", "productivity", "worth", "yield_on"),
    "control.problem": ("Problem",),
    "control.compiled": ("Compiled",),
    "control.pareto": ("Front", "pareto"),
    "control.scenarios": ("optimise_cases",),
    "control.diagnose": ("diagnose",),
    "control.optimise": ("optimise",),
    "control.plan": ("replay",),
    "control.transcribe": ("transcribe",),
    "control.nmpc": ("Controller",),
    "control.estimate": ("Estimator",),
    "control.closed_loop": ("Plant", "run_closed_loop"),
    "plots": ("plot_search",),
    "report": ("write_report",),
}

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'mmopt' has no attribute '{name}'")
    return getattr(import_module(f"mmopt.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from mmopt.control.closed_loop import Plant, run_closed_loop
    from mmopt.control.compiled import Compiled
    from mmopt.control.controls import Control
    from mmopt.control.diagnose import diagnose
    from mmopt.control.estimate import Estimator
    from mmopt.control.horizon import Horizon
    from mmopt.control.nmpc import Controller
    from mmopt.control.objective import Objective, least_time, productivity, worth, yield_on
    from mmopt.control.optimise import optimise
    from mmopt.control.pareto import Front, pareto
    from mmopt.control.plan import replay
    from mmopt.control.problem import Problem
    from mmopt.control.scenarios import optimise_cases
    from mmopt.control.transcribe import transcribe
    from mmopt.errors import (
        DomainError,
        InfeasibleError,
        MmoptError,
        NetworkError,
        SolverError,
        StudyError,
        SurrogateError,
    )
    from mmopt.metabolism.atlas import Atlas
    from mmopt.metabolism.atlas_file import load_atlas
    from mmopt.metabolism.deletions import essential, single_deletions
    from mmopt.metabolism.domain import Domain
    from mmopt.metabolism.fluxes import Fluxes, Labels
    from mmopt.metabolism.limits import LinearLimit
    from mmopt.metabolism.network import Network
    from mmopt.metabolism.pfba import LabelProgram, pfba
    from mmopt.metabolism.reading import read_network
    from mmopt.metabolism.rules import reactions_lost
    from mmopt.metabolism.sampling import sample
    from mmopt.metabolism.table import FluxTable, load_table
    from mmopt.metabolism.variants import knock_out, set_bounds, set_medium, set_objective
    from mmopt.plots import plot_search
    from mmopt.reactor.accumulate import Accumulating
    from mmopt.reactor.bioreactor import Aeration, Bioreactor, Species, Uptake
    from mmopt.reactor.ecoli import ecoli_fed_batch
    from mmopt.reactor.feeds import ConstantFeed, ExponentialFeed, LineFeed, StepFeed
    from mmopt.reactor.simulate import simulate
    from mmopt.reactor.system import Quantity, System
    from mmopt.report import write_report
    from mmopt.results import Trajectory, load_trajectory
    from mmopt.status import Status
    from mmopt.surrogate.certify import Certificate, certify
    from mmopt.surrogate.embed import embed
    from mmopt.surrogate.keras_export import export_keras, idaes_surrogate
    from mmopt.surrogate.keras_import import import_keras
    from mmopt.surrogate.learn import learn
    from mmopt.surrogate.onnx_export import export_onnx
    from mmopt.surrogate.onnx_import import import_onnx
    from mmopt.surrogate.search import Search, search
    from mmopt.surrogate.soft_law import SoftLaw, soft_law
    from mmopt.surrogate.surrogate import Surrogate
    from mmopt.surrogate.surrogate_file import load_surrogate
    from mmopt.surrogate.train import train
