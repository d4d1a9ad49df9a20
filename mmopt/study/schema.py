"""A study: the network, its surrogate and the problem, as one object that a script or a YAML file gives.

Every field is checked where it is given. A study file contains the same objects that a script builds, field by field; see
`read_study` for the file and `study_template` for an example with comments.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainValidator, TypeAdapter

from mmopt.checking import Name, Positive, as_float, checked, checked_arguments, shown
from mmopt.errors import StudyError, nearest
from mmopt.estimation.readout import measurable
from mmopt.fba.domain import Domain
from mmopt.network.network import Network
from mmopt.network.reading import read_network
from mmopt.problem.problem import Problem
from mmopt.study.mistakes import mistakes
from mmopt.study.options import ClosedLoopOptions, StarvationOptions, TableOptions, TrainingOptions
from mmopt.study.yaml_file import read_yaml

_RANGE = 2
"""Numbers of a range."""


def _domain(value: Any) -> Domain:
    """Return the domain of a mapping from exchanges to ranges."""
    if isinstance(value, Domain):
        return value
    if not isinstance(value, Mapping):
        raise StudyError(f"{shown(value)} is given; give lowest and highest uptake limit by exchange reaction")
    for name, limits in value.items():
        pair = limits if isinstance(limits, list | tuple) and len(limits) == _RANGE else (None, None)
        if not all(as_float(limit) >= 0.0 for limit in pair):
            raise StudyError(f"'{name}' is {shown(limits)}; give a range [lowest, highest] in mmol/gDW/h")
    return Domain({str(name): (as_float(low), as_float(high)) for name, (low, high) in value.items()})


@checked(repr=False)
class Study:
    """A whole study.

    Parameters
    ----------
    title
        Title of the report.
    problem
        What is optimised.
    domain
        Uptake limits for which the surrogate is trained [mmol/gDW/h], a `Domain` or its ranges by exchange reaction.
    network
        Name of a network that ships with cobra, or the path of a file; see `read_network`.
    biomass, maintenance
        Reactions of growth and of ATP maintenance, where the network does not say.
    surrogate
        Name of a surrogate that ships with mmopt, or its folder; None trains one.
    soft_law
        Largest error of any reading, as a fraction of its range over the domain, of a soft law that is computed from the
        critical regions and takes the place of a surrogate, as of `mmopt.surrogate.soft_law`; None for a surrogate.
    table
        Options of the table of fluxes.
    training
        Options of the training.
    closed_loop
        Options of the closed loop; None leaves it out.
    starvation
        Options of the simulation in which the feed stops; None leaves it out.

    Raises
    ------
    StudyError
        If a value is of the wrong type, out of range, or names something that the problem does not have.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 0.25, "glucose": 2.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(12.0), {"feed": (0.0, 0.1)})
    >>> Study("A batch", problem, Domain({"EX_glc__D_e": (0.0, 12.0)}), network="textbook")
    Study 'A batch' with the network textbook
    """

    title: Name
    problem: Problem
    domain: Annotated[Domain, PlainValidator(_domain, json_schema_input_type=dict[str, tuple[float, float]])]
    network: Name = "iJO1366"
    biomass: Name | None = None
    maintenance: Name | None = None
    surrogate: Name | None = None
    soft_law: Positive | None = None
    table: TableOptions = field(default_factory=TableOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    closed_loop: ClosedLoopOptions | None = None
    starvation: StarvationOptions | None = None

    def __post_init__(self) -> None:
        if self.soft_law is not None and self.soft_law >= 1.0:
            raise StudyError(
                f"soft_law is {self.soft_law:g}; give a fraction of the range of the readings, such as 0.05"
            )
        if self.soft_law is not None and self.surrogate is not None:
            raise StudyError("surrogate and soft_law are both given; leave one of them out")
        for message in _unknown_names(self):
            raise StudyError(message)

    def read_network(self) -> Network:
        """Read the metabolic network."""
        return read_network(self.network, biomass=self.biomass, maintenance=self.maintenance)

    def __repr__(self) -> str:
        return f"Study '{self.title}' with the network {self.network}"


def _unknown_names(study: Study) -> Iterator[str]:
    """Yield a message for names in the closed loop that the problem does not have."""
    loop, problem = study.closed_loop, study.problem
    if loop is None:
        return
    parameters = {parameter.name: parameter for parameter in problem.system.parameters}
    kinds: tuple[tuple[str, Mapping[str, Any], Any], ...] = (
        ("closed_loop.disturbance", loop.disturbance, parameters),
        ("closed_loop.estimated", loop.estimated, parameters),
        ("closed_loop.noise", loop.noise, measurable(problem.system)),
        ("closed_loop.sampling", loop.sampling, loop.noise),
        ("closed_loop.limits", loop.limits, problem.quantities),
        *(("closed_loop.scenarios", scenario, parameters) for scenario in loop.scenarios),
    )
    for kind, names, known in kinds:
        for name in names:
            if name not in known:
                yield f"{kind} names '{name}', which the problem does not have; {nearest(name, known)}"
    for kind, values in (("disturbance", loop.disturbance), *(("scenarios", scenario) for scenario in loop.scenarios)):
        for name in values.keys() & parameters.keys():
            try:
                parameters[name].checked_value(values[name])
            except StudyError as error:
                yield f"closed_loop.{kind}: {error}"


@checked_arguments
def read_study(path: str | Path) -> Study:
    """Read and check a study file.

    Parameters
    ----------
    path
        A YAML file. Paths in it are relative to its folder.

    Returns
    -------
    Study
        The study.

    Raises
    ------
    StudyError
        If the file is missing, is not YAML, or has wrong values; all of them are listed with their line, one per line.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "study.yaml")
    ...     _ = path.write_text(study_template())
    ...     read_study(path)
    Study 'Fed-batch of E. coli' with the network iJO1366
    """
    file = read_yaml(path)
    lines = mistakes(file, Study)
    if lines:
        raise StudyError("\n".join(lines))
    study: Study = TypeAdapter(Study).validate_python(file.values)
    folder = file.path.parent
    network, surrogate = folder / study.network, folder / (study.surrogate or "")
    return replace(
        study,
        network=str(network) if _is(network.is_file) else study.network,
        surrogate=str(surrogate) if study.surrogate and _is(surrogate.is_dir) else study.surrogate,
    )


def _is(kind: Callable[[], bool]) -> bool:
    """Whether a path is a file or a folder; no path of an impossible name is."""
    try:
        return kind()
    except (OSError, ValueError):
        return False


def study_schema() -> dict[str, Any]:
    """Return the JSON Schema of study files, for editors.

    Returns
    -------
    dict
        The schema, of the draft 2020-12.

    Examples
    --------
    >>> sorted(study_schema()["required"])
    ['domain', 'problem', 'title']
    """
    schema = TypeAdapter(Study).json_schema(mode="validation")
    for described in (schema, *schema.get("$defs", {}).values()):
        described["description"] = described.get("description", "").partition("\n")[0]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "mmopt study"}


def study_template() -> str:
    """Return a commented study file to begin with.

    Returns
    -------
    str
        YAML that `read_study` accepts.

    Examples
    --------
    >>> print(study_template().splitlines()[0])
    # A study for mmopt. Change what differs in your case, then: mmopt run study.yaml
    """
    return files("mmopt.study").joinpath("template.yaml").read_text(encoding="utf-8")
