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
    "network.network": ("Network",),
    "network.reading": ("read_network",),
    "fba.fluxes": ("Fluxes", "Labels"),
    "network.linear_limit": ("LinearLimit",),
    "fba.flux_program": ("LabelProgram", "pfba"),
    "network.gene_rules": ("reactions_lost",),
    "network.variants": ("knock_out", "set_bounds", "set_medium", "set_objective"),
    "fba.deletions": ("essential", "single_deletions"),
    "fba.atlas": ("Atlas",),
    "fba.atlas_file": ("load_atlas",),
    "fba.domain": ("Domain",),
    "dataset.flux_table": ("FluxTable", "load_table"),
    "dataset.tabulate": ("sample",),
    "surrogate.surrogate": ("Surrogate",),
    "surrogate.surrogate_file": ("load_surrogate",),
    "exchange.keras_export": ("export_keras", "idaes_surrogate"),
    "exchange.keras_import": ("import_keras",),
    "exchange.onnx_export": ("export_onnx",),
    "exchange.onnx_import": ("import_onnx",),
    "surrogate.soft_law": ("SoftLaw", "soft_law"),
    "training.train": ("train",),
    "training.error_report": ("Certificate", "certify"),
    "training.train_to_error": ("learn",),
    "training.architecture_search": ("Search", "search"),
    "surrogate.embed": ("embed",),
    "reactor.system": ("Quantity", "System"),
    "reactor.bioreactor": ("Aeration", "Bioreactor", "Species", "Uptake"),
    "reactor.ecoli": ("ecoli_fed_batch",),
    "reactor.profiles": ("ConstantFeed", "ExponentialFeed", "LineFeed", "StepFeed"),
    "reactor.integral": ("Accumulating",),
    "reactor.simulate": ("simulate",),
    "problem.horizon": ("Horizon",),
    "problem.control": ("Control",),
    "problem.objective": ("Objective", "least_time", "productivity", "worth", "yield_on"),
    "problem.problem": ("Problem",),
    "transcription.compiled": ("Compiled",),
    "optimisation.pareto": ("Front", "pareto"),
    "optimisation.scenarios": ("optimise_cases",),
    "transcription.diagnose": ("diagnose",),
    "optimisation.optimise": ("optimise",),
    "transcription.plan": ("replay",),
    "transcription.collocation": ("transcribe",),
    "control.controller": ("Controller",),
    "control.estimator": ("Estimator",),
    "control.closed_loop": ("Plant", "run_closed_loop"),
    "report.plots": ("plot_search",),
    "report.report": ("write_report",),
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
    from mmopt.transcription.compiled import Compiled
    from mmopt.problem.control import Control
    from mmopt.transcription.diagnose import diagnose
    from mmopt.control.estimator import Estimator
    from mmopt.problem.horizon import Horizon
    from mmopt.control.controller import Controller
    from mmopt.problem.objective import Objective, least_time, productivity, worth, yield_on
    from mmopt.optimisation.optimise import optimise
    from mmopt.optimisation.pareto import Front, pareto
    from mmopt.transcription.plan import replay
    from mmopt.problem.problem import Problem
    from mmopt.optimisation.scenarios import optimise_cases
    from mmopt.transcription.collocation import transcribe
    from mmopt.errors import (
        DomainError,
        InfeasibleError,
        MmoptError,
        NetworkError,
        SolverError,
        StudyError,
        SurrogateError,
    )
    from mmopt.fba.atlas import Atlas
    from mmopt.fba.atlas_file import load_atlas
    from mmopt.fba.deletions import essential, single_deletions
    from mmopt.fba.domain import Domain
    from mmopt.fba.fluxes import Fluxes, Labels
    from mmopt.network.linear_limit import LinearLimit
    from mmopt.network.network import Network
    from mmopt.fba.flux_program import LabelProgram, pfba
    from mmopt.network.reading import read_network
    from mmopt.network.gene_rules import reactions_lost
    from mmopt.dataset.tabulate import sample
    from mmopt.dataset.flux_table import FluxTable, load_table
    from mmopt.network.variants import knock_out, set_bounds, set_medium, set_objective
    from mmopt.report.plots import plot_search
    from mmopt.reactor.integral import Accumulating
    from mmopt.reactor.bioreactor import Aeration, Bioreactor, Species, Uptake
    from mmopt.reactor.ecoli import ecoli_fed_batch
    from mmopt.reactor.profiles import ConstantFeed, ExponentialFeed, LineFeed, StepFeed
    from mmopt.reactor.simulate import simulate
    from mmopt.reactor.system import Quantity, System
    from mmopt.report.report import write_report
    from mmopt.results import Trajectory, load_trajectory
    from mmopt.status import Status
    from mmopt.training.error_report import Certificate, certify
    from mmopt.surrogate.embed import embed
    from mmopt.exchange.keras_export import export_keras, idaes_surrogate
    from mmopt.exchange.keras_import import import_keras
    from mmopt.training.train_to_error import learn
    from mmopt.exchange.onnx_export import export_onnx
    from mmopt.exchange.onnx_import import import_onnx
    from mmopt.training.architecture_search import Search, search
    from mmopt.surrogate.soft_law import SoftLaw, soft_law
    from mmopt.surrogate.surrogate import Surrogate
    from mmopt.surrogate.surrogate_file import load_surrogate
    from mmopt.training.train import train
