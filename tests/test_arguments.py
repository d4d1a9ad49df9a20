"""Nonsense given to a public constructor is a typed error that names the argument, or is accepted on purpose."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pytest

from mmopt.errors import MmoptError
from mmopt.problem import Control, Horizon, Objective, Problem, productivity, worth, yield_on
from mmopt.reactor import (
    Aeration,
    Base,
    Bioreactor,
    ConstantFeed,
    Evaporation,
    ExponentialFeed,
    Feed,
    Harvest,
    Induction,
    Integral,
    Lag,
    LinearFeed,
    LuedekingPiret,
    OffGas,
    Overflow,
    Parameter,
    Quantity,
    ShareOfGrowth,
    Species,
    StepFeed,
    StirredTank,
    Stripping,
    Temperature,
    Uptake,
    ecoli_fed_batch,
)
from mmopt.simulation import simulate
from tests.systems import Decay, Pulled

START: Final = MappingProxyType({"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2})

NONSENSE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "none": None,
        "nan": np.nan,
        "infinity": np.inf,
        "negative": -1.0,
        "zero": 0,
        "huge": 10**400,
        "text": "x",
        "empty text": "",
        "bytes": b"x",
        "truth": True,
        "empty tuple": (),
        "list of nonsense": [None, "x"],
        "mapping": {"x": "y"},
        "array": np.array([1.0, np.nan]),
        "class": float,
        "object": object(),
        "complex": 1j,
    }
)

CONSTRUCTORS: Final[Mapping[str, tuple[Callable[..., Any], Mapping[str, Any]]]] = MappingProxyType(
    {
        "Quantity": (
            Quantity,
            {"name": "x", "unit": "g", "scale": 1.0, "lower": 0.0, "upper": 2.0, "quasi_steady": False},
        ),
        "Parameter": (
            Parameter,
            {"name": "k", "value": 1.0, "unit": "1/h", "source": "assumed", "lower": 0.0, "upper": 2.0},
        ),
        "Uptake": (
            Uptake,
            {
                "vmax": 10.0,
                "half": 0.05,
                "inhibitors": {"acetate": 9.0},
                "law": "moser",
                "exponent": 2.0,
                "competitors": {},
                "needs": {"oxygen": 0.1},
            },
        ),
        "Feed": (Feed, {"name": "sugar", "content": {"glucose": 500.0}, "scale": 0.1, "law": None}),
        "Harvest": (Harvest, {"name": "bleed", "retention": 0.5, "scale": 0.1}),
        "Overflow": (Overflow, {"retention": 0.5}),
        "Evaporation": (Evaporation, {"rate": 0.01}),
        "Base": (Base, {"concentration": 1000.0, "ammonium": "EX_nh4_e", "protons": 1.0}),
        "StirredTank": (
            StirredTank,
            {"stirrer_diameter": 0.1, "vessel_diameter": 0.2, "power_number": 5.0, "coalescing": True},
        ),
        "Stripping": (Stripping, {"species": "ethanol", "coefficient": 1.0, "equilibrium": 0.0}),
        "OffGas": (
            OffGas,
            {
                "flow": 2.0,
                "oxygen": 20.95,
                "carbon_dioxide": 0.04,
                "oxygen_exchange": "EX_o2_e",
                "carbon_dioxide_exchange": "EX_co2_e",
            },
        ),
        "LuedekingPiret": (
            LuedekingPiret,
            {"name": "acid", "with_growth": 1.0, "without_growth": 0.1, "induction": None},
        ),
        "ShareOfGrowth": (ShareOfGrowth, {"name": "protein", "share": 0.2, "induction": None}),
        "Induction": (Induction, {"quantity": "biomass", "above": 10.0, "width": 1.0}),
        "Lag": (Lag, {"time": 1.0, "species": ("glucose",), "name": "adaptation"}),
        "Temperature": (Temperature, {"lowest": 5.0, "best": 40.0, "highest": 46.0, "value": 30.0}),
        "Species": (
            Species,
            {
                "name": "glucose",
                "exchange": "EX_glc__D_e",
                "unit": "g/L",
                "molar_mass": 180.156,
                "uptake": None,
                "fed": 500.0,
                "scale": 1.0,
            },
        ),
        "Aeration": (Aeration, {"kla": 300.0, "saturation": 0.21, "species": "oxygen"}),
        "Bioreactor": (
            Bioreactor,
            {
                "species": ecoli_fed_batch().species,
                "aeration": None,
                "death": 0.0,
                "biomass_scale": 1.0,
                "volume_scale": 1.0,
                "feed_scale": 0.1,
                "sources": {},
            },
        ),
        "Integral": (Integral, {"system": Pulled(), "total": Quantity("total", "m h"), "integrand": lambda seen: 1.0}),
        "ConstantFeed": (ConstantFeed, {"rate": 0.1, "start": 0.0}),
        "ExponentialFeed": (ExponentialFeed, {"initial": 0.1, "growth": 0.2, "start": 0.0, "highest": 1.0}),
        "StepFeed": (StepFeed, {"edges": (0.0, 1.0), "rates": (0.1,)}),
        "LinearFeed": (LinearFeed, {"times": (0.0, 1.0), "values": (0.1, 0.2)}),
        "simulate": (
            simulate,
            {
                "system": Decay(),
                "initial": {"x": 1.0},
                "controls": {},
                "duration": 1.0,
                "metabolism": None,
                "parameters": {"k": 0.5},
                "start": 0.0,
                "points": 3,
                "tolerance": 1.0e-3,
                "stop_when": None,
            },
        ),
        "Horizon": (
            Horizon,
            {"length": 10.0, "elements": 1, "points": 3, "scheme": "radau", "grading": 1.0, "mesh": (0.0, 1.0)},
        ),
        "Control": (
            Control,
            {
                "low": 0.0,
                "high": 0.1,
                "shape": "steps",
                "rate_limit": None,
                "windows": ((1.0, 2.0),),
                "move_penalty": 1.0e-4,
            },
        ),
        "Objective": (
            Objective,
            {"name": "profit", "value": lambda end, start: end["x"], "unit": "EUR", "scale": 1.0},
        ),
        "worth": (worth, {"prices": {"x": 1.0}, "unit": "EUR", "scale": 1.0}),
        "productivity": (productivity, {"name": "x", "unit": "g/h", "scale": 1.0}),
        "yield_on": (yield_on, {"name": "x", "used": lambda end, start: end["y"], "unit": "g/g", "scale": 1.0}),
        "Problem": (
            Problem,
            {
                "system": ecoli_fed_batch(),
                "initial": dict(START),
                "horizon": Horizon(10.0),
                "controls": {"feed": (0.0, 0.1)},
                "limits": {"volume": (None, 2.0)},
                "maximise": "biomass_amount",
                "parameters": {"kla": 250.0},
                "final": {},
                "soft": {},
            },
        ),
    }
)
"""Every public constructor with arguments that make sense."""

PAIRS: Final = [
    pytest.param(name, argument, kind, id=f"{name}-{argument}-{kind}")
    for name, (_, arguments) in CONSTRUCTORS.items()
    for argument in arguments
    for kind in NONSENSE
]


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_arguments_that_make_sense_are_accepted(name: str) -> None:
    build, arguments = CONSTRUCTORS[name]
    assert build(**arguments) is not None


@pytest.mark.parametrize(("name", "argument", "kind"), PAIRS)
def test_nonsense_is_a_typed_error_or_accepted(name: str, argument: str, kind: str) -> None:
    build, arguments = CONSTRUCTORS[name]
    try:
        text = repr(build(**{**arguments, argument: NONSENSE[kind]}))
    except MmoptError as error:
        text = str(error)
    assert 0 < len(text) < 600
    assert " at 0x" not in text


REFUSED: Final = [
    pytest.param(name, argument, kind, id=f"{name}-{argument}-{kind}")
    for name, argument, kinds in (
        (
            "Uptake",
            "vmax",
            ("none", "nan", "infinity", "negative", "huge", "text", "truth", "mapping", "array", "complex"),
        ),
        ("Uptake", "half", ("none", "nan", "infinity", "negative", "zero", "text", "object")),
        ("Species", "name", ("none", "nan", "zero", "empty text", "bytes", "mapping")),
        ("Species", "molar_mass", ("nan", "negative", "zero", "text", "class")),
        ("Species", "fed", ("none", "nan", "negative", "text")),
        ("Aeration", "kla", ("nan", "infinity", "negative", "text")),
        ("Aeration", "saturation", ("none", "nan", "negative", "zero", "text")),
        ("Bioreactor", "species", ("none", "zero", "text", "empty tuple", "list of nonsense", "mapping", "class")),
        ("Bioreactor", "death", ("none", "nan", "negative", "text")),
        ("Quantity", "scale", ("none", "nan", "infinity", "negative", "zero", "text")),
        ("Parameter", "value", ("none", "nan", "infinity", "negative", "text", "array")),
        ("simulate", "duration", ("none", "nan", "infinity", "negative", "zero", "text", "huge")),
        ("simulate", "initial", ("none", "nan", "text", "empty tuple", "mapping", "class")),
        ("Integral", "system", ("none", "text", "class", "object")),
        ("Integral", "integrand", ("none", "zero", "text")),
        ("Problem", "system", ("none", "nan", "text", "class", "object")),
        ("Problem", "controls", ("none", "nan", "text", "mapping", "object")),
        ("Problem", "maximise", ("none", "nan", "text", "empty text", "class", "object")),
        ("Horizon", "length", ("none", "nan", "infinity", "negative", "zero", "text", "empty tuple")),
        ("Control", "low", ("none", "nan", "text", "mapping")),
    )
    for kind in kinds
]


@pytest.mark.parametrize(("name", "argument", "kind"), REFUSED)
def test_nonsense_that_no_reactor_can_use_is_refused(name: str, argument: str, kind: str) -> None:
    build, arguments = CONSTRUCTORS[name]
    with pytest.raises(MmoptError):
        build(**{**arguments, argument: NONSENSE[kind]})
