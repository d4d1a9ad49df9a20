"""The description of a study in its summary: problem, parameters, versions and readable names."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from mmopt.io.seal import digest
from mmopt.network.network import Network
from mmopt.problem.content import content_of
from mmopt.problem.limits import Limits
from mmopt.problem.problem import Problem
from mmopt.reactor.system import System
from mmopt.report.records import Amount, Limit, NetworkRecord, ObjectiveRecord, ParameterRecord, ProblemRecord
from mmopt.study.schema import Study

PACKAGES: Final = ("mmopt", "cobra", "pyomo", "omlt", "casadi", "highspy", "scipy", "numpy")
"""Packages whose versions decide the results."""

KNOWN_LIMITS: Final = (
    "The reactor is well mixed; the cell adapts at once to its surroundings, without lag, stress or product burden.",
    "The network's biomass yield is an upper estimate: it is higher than in a vessel.",
    "Largest uptake rates come from the literature, for other strains and vessels; fit them to your own before use.",
    "Biomass that starves does not die unless the reactor has a death constant.",
)
"""Limits of validity of every study."""

_METABOLITES: Final[Mapping[str, str]] = {
    "ac": "acetate",
    "co2": "carbon dioxide",
    "etoh": "ethanol",
    "fe2": "iron(II)",
    "for": "formate",
    "glc__D": "glucose",
    "h": "protons",
    "h2o": "water",
    "k": "potassium",
    "lac__D": "lactate",
    "nh4": "ammonium",
    "o2": "oxygen",
    "pi": "phosphate",
    "pyr": "pyruvate",
    "so4": "sulfate",
    "succ": "succinate",
}
"""Names of the metabolites that cells exchange most, by BiGG identifier."""


def describe_study(title: str, problem: Problem) -> dict[str, Any]:
    """Describe a study before anything is computed.

    Parameters
    ----------
    title
        Title of the study.
    problem
        Its problem.

    Returns
    -------
    dict
        Fields of a `RunSummary`.
    """
    return {
        "title": title,
        "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "versions": _versions(),
        "problem": describe_problem(problem),
        "parameters": describe_parameters(problem),
        "names": readable_names(problem.system),
        "known_limits": KNOWN_LIMITS,
    }


def mark_of(study: Study, fresh: bool) -> str:
    """Return the mark of a run, by which an interrupted one is known: a digest of the study, of its files and of versions.

    Parameters
    ----------
    study
        The study.
    fresh
        Whether a surrogate is trained anew.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    files = [Path(study.network), Path(study.surrogate or "") / "surrogate.json"]
    contents = [sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()]
    return str(digest(repr((content_of(study), contents, fresh, _versions()))))


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def describe_network(network: Network) -> NetworkRecord:
    """Describe a metabolic network.

    Parameters
    ----------
    network
        The network.

    Returns
    -------
    NetworkRecord
        Its name, size and hash.
    """
    sizes = {"reactions": len(network.reactions), "metabolites": len(network.metabolites)}
    return NetworkRecord(name=network.name, hash=network.hash, **sizes)


def describe_problem(problem: Problem) -> ProblemRecord:
    """Describe a problem: objective, horizon, initial state, controls and limits, with units.

    Parameters
    ----------
    problem
        The problem.

    Returns
    -------
    ProblemRecord
        The description.
    """
    units = {known.name: known.unit for known in (*problem.quantities.values(), *problem.system.controls)}
    controls = {name: (control.low, control.high) for name, control in problem.controls.items()}
    return ProblemRecord(
        objective=ObjectiveRecord(name=problem.objective.name, unit=problem.objective.unit),
        hours=problem.horizon.length,
        elements=problem.horizon.elements,
        initial={name: Amount(value=value, unit=units[name]) for name, value in problem.initial.items()},
        controls=describe_limits(controls, units),
        limits=describe_limits(problem.limits, units),
        final=describe_limits(problem.final, units),
    )


def describe_limits(limits: Limits, units: Mapping[str, str]) -> dict[str, Limit]:
    """Describe limits with their units.

    Parameters
    ----------
    limits
        Lowest and highest allowed value by quantity.
    units
        Unit by quantity.

    Returns
    -------
    dict
        Limits by quantity.
    """
    return {name: Limit(lowest=low, highest=high, unit=units[name]) for name, (low, high) in limits.items()}


def describe_parameters(problem: Problem) -> dict[str, ParameterRecord]:
    """Describe the parameters of a problem's system: value, unit and source.

    Parameters
    ----------
    problem
        The problem.

    Returns
    -------
    dict
        Parameters by name; the source of a value that the problem changes is the study.
    """
    return {
        known.name: ParameterRecord(
            value=problem.parameters.get(known.name, known.value),
            unit=known.unit,
            source="set in the study" if known.name in problem.parameters else known.source,
        )
        for known in problem.system.parameters
    }


def readable_names(system: System) -> dict[str, str]:
    """Name the exchange reactions: as the species of the reactor, else as the metabolites of BiGG.

    Parameters
    ----------
    system
        The system; its species, if it has any, have a name and an exchange reaction.

    Returns
    -------
    dict
        Readable names by identifier.
    """
    common = {f"EX_{identifier}_e": name for identifier, name in _METABOLITES.items()}
    species = {one.exchange: one.name for one in getattr(system, "species", ())}
    return {**common, "ATPM": "ATP maintenance", **species}
