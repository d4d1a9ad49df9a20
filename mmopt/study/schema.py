"""A study file: YAML, checked, becomes the same objects a script builds.

Every number is checked where it is read, so that a wrong one is named by its place in the file before any work begins.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mmopt.errors import StudyError
from mmopt.fba.domain import Domain
from mmopt.network.network import Network
from mmopt.network.reading import read_network
from mmopt.problem.control import Control
from mmopt.problem.horizon import Horizon
from mmopt.problem.objective import Objective, productivity, worth
from mmopt.problem.problem import Problem
from mmopt.reactor import Aeration, Bioreactor, Species, Uptake
from mmopt.reactor.ecoli import SOURCES, ecoli_fed_batch
from mmopt.training.train import HIDDEN, ITERATIONS, STARTS, Basis
from mmopt.training.train_to_error import WANTED

Range = tuple[FiniteFloat | None, FiniteFloat | None]
Positive = Annotated[FiniteFloat, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]

ECOLI = "ecoli_fed_batch"


class _Part(BaseModel):
    """A part of a study file: unknown keys are errors, numbers are finite, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Sampling(_Part):
    """How labels are sampled: by an atlas, explored first, or by the linear program alone; the answers are the same."""

    labels: Count = 4096
    seed: int = 0
    source: Literal["atlas", "program"] = "atlas"


class Training(_Part):
    """How a surrogate is trained, and the worst error wanted, in parts of a range; see `learn`. Null trains only once."""

    hidden: tuple[Count, ...] = HIDDEN
    activation: str = "tanh"
    basis: Basis = "conic"
    iterations: Count = ITERATIONS
    starts: Count = STARTS
    seed: int = 0
    wanted: Positive | None = WANTED


class UptakePart(_Part):
    """An uptake law of a species, see `Uptake`."""

    vmax: Positive
    half: Positive
    inhibitors: dict[str, Positive] = {}


class SpeciesPart(_Part):
    """A species of the reactor, see `Species`."""

    name: str
    exchange: str
    unit: str = "g/L"
    molar_mass: Positive | None = None
    uptake: UptakePart | None = None
    fed: FiniteFloat = 0.0
    scale: Positive = 1.0


class AerationPart(_Part):
    """Oxygen transfer, see `Aeration`."""

    kla: Positive
    saturation: Positive
    species: str = "oxygen"


class ReactorPart(_Part):
    """The reactor: a known one by name, or its own species; parameters may differ from its defaults."""

    base: str | None = ECOLI
    species: tuple[SpeciesPart, ...] = ()
    aeration: AerationPart | None = None
    parameters: dict[str, FiniteFloat] = {}


class HorizonPart(_Part):
    """How far, how fine, see `Horizon`."""

    hours: Positive
    elements: Count = 20
    points: Count = 3
    scheme: Literal["radau", "legendre"] = "radau"
    grading: Positive = 1.0


class ControlPart(_Part):
    """A control of which more is told than its range, see `Control`."""

    range: tuple[FiniteFloat, FiniteFloat]
    shape: Literal["steps", "lines"] = "steps"
    change: Positive | None = None
    windows: tuple[tuple[FiniteFloat, FiniteFloat], ...] | None = None
    move_penalty: Annotated[FiniteFloat, Field(ge=0.0)] = 1.0e-4

    def control(self) -> Control:
        """As a script makes it."""
        return Control(*self.range, self.shape, self.change, self.windows, self.move_penalty)


class WorthPart(_Part):
    """An objective made of prices on quantities at the end, see `worth`."""

    worth: dict[str, FiniteFloat]
    unit: str = ""
    scale: Positive = 1.0


class ProductivityPart(_Part):
    """Gain per hour of a quantity, see `productivity`."""

    productivity: str
    unit: str = ""
    scale: Positive = 1.0


class NmpcPart(_Part):
    """The closed loop: what the controller does not know, what the sensors show, and the limits it aims to keep."""

    interval: Positive = 0.5
    disturbance: dict[str, FiniteFloat] = {}
    estimated: dict[str, Positive] = {}
    limits: dict[str, Range] = {}
    noise: dict[str, Positive]
    seed: int = 0


class StarvationPart(_Part):
    """A simulation in which the feed stops."""

    feed: Positive
    feed_stops: Positive
    hours: Positive


class Study(_Part):
    """A whole study."""

    title: str
    network: str = "iJO1366"
    biomass: str | None = None
    maintenance: str | None = None
    surrogate: str | None = None
    domain: dict[str, tuple[FiniteFloat, FiniteFloat]]
    sampling: Sampling = Sampling()
    training: Training = Training()
    reactor: ReactorPart = ReactorPart()
    initial: dict[str, FiniteFloat]
    horizon: HorizonPart
    controls: dict[str, tuple[FiniteFloat, FiniteFloat] | ControlPart]
    limits: dict[str, Range] = {}
    final: dict[str, Range] = {}
    soft: dict[str, Positive] = {}
    maximise: str | WorthPart | ProductivityPart = "biomass_amount"
    nmpc: NmpcPart | None = None
    starvation: StarvationPart | None = None

    def cell(self) -> Network:
        """The metabolic network."""
        return read_network(self.network, biomass=self.biomass, maintenance=self.maintenance)

    def box(self) -> Domain:
        """The domain of the surrogate."""
        return Domain(self.domain)

    def bioreactor(self) -> Bioreactor:
        """The reactor."""
        part = self.reactor
        if not part.species:
            if part.base != ECOLI:
                raise StudyError(f"reactor base '{part.base}' is unknown; use {ECOLI}, or list the species")
            return ecoli_fed_batch()
        species = tuple(
            Species(
                each.name,
                each.exchange,
                each.unit,
                each.molar_mass,
                Uptake(each.uptake.vmax, each.uptake.half, each.uptake.inhibitors) if each.uptake else None,
                each.fed,
                each.scale,
            )
            for each in part.species
        )
        air = part.aeration
        return Bioreactor(species, Aeration(air.kla, air.saturation, air.species) if air else None)

    def problem(self) -> Problem:
        """What is to be optimised."""
        part = self.horizon
        return Problem(
            self.bioreactor(),
            self.initial,
            Horizon(part.hours, part.elements, part.points, part.scheme, part.grading),
            {name: each.control() if isinstance(each, ControlPart) else each for name, each in self.controls.items()},
            self.limits,
            self._objective(),
            self.reactor.parameters,
            self.final,
            self.soft,
        )

    def _objective(self) -> str | Objective:
        told = self.maximise
        if isinstance(told, WorthPart):
            return worth(told.worth, told.unit, told.scale)
        return productivity(told.productivity, told.unit, told.scale) if isinstance(told, ProductivityPart) else told

    def sources(self) -> dict[str, str]:
        """Where each parameter of the reactor comes from."""
        known = {} if self.reactor.species else dict(SOURCES)
        return {**known, **dict.fromkeys(self.reactor.parameters, "set in the study")}


def read_study(path: str | Path) -> Study:
    """Read and check a study file.

    Raises
    ------
    StudyError
        If the file is missing, is not YAML, or says something that makes no sense; the place is named.
    """
    path = Path(path)
    try:
        told: Any = YAML(typ="safe").load(path.read_text())
    except OSError as error:
        raise StudyError(f"{path} cannot be read ({error.strerror}); give a study file") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(told, dict):
        raise StudyError(
            f"{path} is empty or no mapping; give a study file, such as case_studies/ecoli_fedbatch/study.yaml"
        )
    try:
        return Study.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise StudyError(f"{path}: {place}: {first['msg']}; it is {first['input']!r}{more}"[:400]) from error
