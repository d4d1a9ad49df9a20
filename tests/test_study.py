"""A study file is the objects of a script; all of its mistakes come at once, with their lines; hostile files end at once."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from mmopt import Domain, Horizon, Problem, StudyError, ecoli_fed_batch, read_study
from mmopt.problem import Control
from mmopt.reactor import Aeration, Bioreactor, Species, Uptake
from mmopt.study import Study
from mmopt.study.options import ClosedLoopOptions, StarvationOptions, TableOptions, TrainingOptions
from mmopt.study.schema import study_schema, study_template
from mmopt.training.keras_trainer import EPOCHS

CASES = Path(__file__).parents[1] / "case_studies"
START = {"volume": 2.0, "biomass": 0.5, "glucose": 2.0, "acetate": 0.0, "oxygen": 0.2}

TEXT = """\
title: A batch
network: textbook
domain: {EX_glc__D_e: [0, 12], EX_o2_e: [0.0, 16.0], EX_ac_e: [0.0, 4.0]}
table: {size: 400, seed: 1, source: program}
training:
  hidden: [10]
  iterations: 100
  wanted: null
problem:
  system: ecoli_fed_batch
  parameters: {kla: 250.0}
  initial: {volume: 2.0, biomass: 0.5, glucose: 2.0, acetate: 0.0, oxygen: 0.2}
  horizon: {length: 3.0, elements: 12}
  controls:
    feed: {low: 0.0, high: 0.1, shape: lines, windows: [[1.0, 3.0]]}
  limits: {oxygen_saturation: [20.0, null]}
closed_loop:
  disturbance: {kla: 240.0}
  noise: {biomass: 0.1}
starvation: {feed: 0.005, feed_stops: 1.0, hours: 4.0}
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "study.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(StudyError) as caught:
        read_study(written(folder, text))
    return str(caught.value).replace(f"{folder}/", "")


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new)


# --- the objects of a script


def test_file_contains_the_objects_of_a_script(tmp_path: Path) -> None:
    study = read_study(written(tmp_path, TEXT))
    problem = Problem(
        ecoli_fed_batch(),
        START,
        Horizon(3.0, 12),
        {"feed": Control(0.0, 0.1, "lines", windows=((1.0, 3.0),))},
        {"oxygen_saturation": (20.0, None)},
        parameters={"kla": 250.0},
    )
    assert study == Study(
        "A batch",
        problem,
        Domain({"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0), "EX_ac_e": (0.0, 4.0)}),
        network="textbook",
        table=TableOptions(400, 1, "program"),
        training=TrainingOptions((10,), iterations=100, wanted=None),
        closed_loop=ClosedLoopOptions({"biomass": 0.1}, disturbance={"kla": 240.0}),
        starvation=StarvationOptions(0.005, 1.0, 4.0),
    )


def test_reactor_of_a_file_is_that_of_a_script(tmp_path: Path) -> None:
    system = """system:
    species:
      - {name: glucose, exchange: EX_glc__D_e, molar_mass: 180.156, uptake: {vmax: 10.5, half: 0.05}, fed: 500.0}
      - {name: acetate, exchange: EX_ac_e, molar_mass: 59.044, uptake: {vmax: 2.5, half: 0.05, inhibitors: {glucose: 1.0}}}
      - {name: oxygen, exchange: EX_o2_e, unit: mmol/L, uptake: {vmax: 15.0, half: 0.001}, scale: 0.1}
    aeration: {kla: 300.0, saturation: 0.21}
    sources: {kla: measured}"""
    study = read_study(written(tmp_path, changed("system: ecoli_fed_batch", system)))
    assert study.problem.system == Bioreactor(
        (
            Species("glucose", "EX_glc__D_e", molar_mass=180.156, uptake=Uptake(10.5, 0.05), fed=500.0),
            Species("acetate", "EX_ac_e", molar_mass=59.044, uptake=Uptake(2.5, 0.05, {"glucose": 1.0})),
            Species("oxygen", "EX_o2_e", "mmol/L", uptake=Uptake(15.0, 0.001), scale=0.1),
        ),
        Aeration(300.0, 0.21),
        sources={"kla": "measured"},
    )


@pytest.mark.parametrize(
    ("maximise", "name", "value"),
    [
        ("biomass", "biomass", 3.0),
        ("{productivity: biomass, unit: g/L/h}", "biomass per hour", 0.5),
        ("{yield: {of: biomass, on: {volume: 500.0}}}", "biomass yield", 0.5),
        ("{worth: {biomass: 2.0, time: -1.0}, unit: EUR, scale: 5.0}", "worth", 2.0),
        ("{least_time: 10.0}", "time saved", -4.0),
    ],
)
def test_objective_of_a_file_is_that_of_a_script(tmp_path: Path, maximise: str, name: str, value: float) -> None:
    problem = read_study(written(tmp_path, changed("  limits:", f"  maximise: {maximise}\n  limits:"))).problem
    assert problem.objective.name == name
    end, start = {"biomass": 3.0, "volume": 1.008, "time": 4.0}, {"biomass": 1.0, "volume": 1.0, "time": 0.0}
    assert problem.objective.value(end, start) == pytest.approx(value)


@pytest.mark.parametrize(
    "used", ["biomass", "{of: biomass}", "{of: biomass, on: {}}", "{of: biomass, on: {volume: fast}}"]
)
def test_yield_without_what_it_is_relative_to_is_refused(tmp_path: Path, used: str) -> None:
    path = written(tmp_path, changed("  limits:", f"  maximise: {{yield: {used}}}\n  limits:"))
    with pytest.raises(StudyError, match=r"problem\.maximise"):
        read_study(path)


def test_wanted_errors_of_a_file_may_go_by_name(tmp_path: Path) -> None:
    study = read_study(written(tmp_path, changed("wanted: null", "wanted: {growth: 0.01, EX_ac_e: 0.02}")))
    assert study.training.wanted == {"growth": 0.01, "EX_ac_e": 0.02}
    with pytest.raises(StudyError, match="wanted"):
        read_study(written(tmp_path, changed("wanted: null", "wanted: {growth: -0.01}")))


def test_ranges_of_a_file_are_choices(tmp_path: Path) -> None:
    problem = read_study(
        written(tmp_path, changed("length: 3.0", "length: [2, 4]").replace(", windows: [[1.0, 3.0]]", ""))
    ).problem
    assert problem.horizon.length == (2.0, 4.0)


@pytest.mark.parametrize("case", ["ecoli_fedbatch", "textbook_fedbatch"])
def test_case_study_is_a_study(case: str) -> None:
    study = read_study(CASES / case / "study.yaml")
    assert study.problem.system == ecoli_fed_batch()
    assert study.problem.horizon == Horizon(12.0, 24, 3)
    assert study.surrogate in ("ecoli_ijo1366", "ecoli_textbook")


def test_template_is_a_study_like_the_case_study(tmp_path: Path) -> None:
    template = read_study(written(tmp_path, study_template()))
    assert replace(template, title="Fed-batch of E. coli, iJO1366") == read_study(
        CASES / "ecoli_fedbatch" / "study.yaml"
    )


def test_network_and_surrogate_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "cell.xml").touch()
    (tmp_path / "surrogate").mkdir()
    text = changed("network: textbook", "network: cell.xml\nsurrogate: surrogate")
    study = read_study(written(tmp_path, text))
    assert (study.network, study.surrogate) == (str(tmp_path / "cell.xml"), str(tmp_path / "surrogate"))


def test_iterations_are_those_of_the_trainer_by_default() -> None:
    assert TrainingOptions().steps == 150
    assert TrainingOptions(trainer="keras").steps == EPOCHS
    assert TrainingOptions(iterations=7).steps == 7


# --- mistakes


def test_all_mistakes_come_in_one_answer_with_their_lines(tmp_path: Path) -> None:
    text = TEXT
    for old, new in (
        ("size: 400, seed: 1", "size: none, seed: -1"),
        ("iterations", "iteration"),
        ("elements: 12", "elements: 0"),
        ("{oxygen_saturation: [20.0, null]}", "{oxygen_saturatio: [20.0, null], volume: [3.0, 2.0]}"),
        ("{biomass: 0.1}", "{biomas: 0.1}"),
        ("hours: 4.0", "hours: -4.0"),
    ):
        text = text.replace(old, new)
    assert refusal(tmp_path, text).splitlines() == [
        "study.yaml:4: table.size is 'none'; it should be a whole number, at most 9007199254740992",
        "study.yaml:4: table.seed is -1; it should be greater than or equal to 0",
        "study.yaml:7: there is no 'iteration' in training; nearest known: iterations, activation, trainer",
        "study.yaml:13: problem.horizon.elements is 0; it should be greater than or equal to 1",
        "study.yaml:16: problem.limits.oxygen_saturatio: there is no state, derived quantity or rate 'oxygen_saturatio'; "
        "nearest known: oxygen_saturation, oxygen_transfer, oxygen_uptake",
        "study.yaml:16: problem.limits.volume: the lowest volume allowed, 3, is above the highest, 2; no point can keep both",
        "study.yaml:19: closed_loop.noise names 'biomas', which the problem does not have; "
        "nearest known: biomass, biomass_amount",
        "study.yaml:20: starvation.hours is -4.0; it should be greater than 0",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: A batch\n", "", "study.yaml:1: title is missing; give it"),
        ("title: A batch", "title: ''", "study.yaml:1: title is ''; it should be a name"),
        ("title: A batch", "titel: A batch", "study.yaml:1: there is no 'titel'; nearest known: title"),
        ("length: 3.0", "hours: 3.0", "study.yaml:13: there is no 'hours' in problem.horizon; it is now problem.horizon."),
        ("length: 3.0", "length: x", "study.yaml:13: problem.horizon.length is 'x'; it should be a number, or a range of two"),
        ("length: 3.0", "length: -3", "study.yaml:13: problem.horizon: the horizon is -3 h long"),
        ("low: 0.0, high: 0.1", "range: [0.0, 0.1]", "there is no 'range' in problem.controls.feed; it is now low and high"),
        ("shape: lines", "shape: curves", "problem.controls.feed: a control of shape 'curves' is unknown"),
        ("biomass: 0.5", "biomass: lots", "study.yaml:12: problem.initial.biomass is 'lots'; it should be a number"),
        ("biomass: 0.5", "biomass: .nan", "study.yaml:12: problem.initial.biomass"),
        ("kla: 250.0", "klaa: 250.0", "study.yaml:11: problem.parameters.klaa: there is no parameter 'klaa'"),
        ("kla: 240.0", "kla: -5", "closed_loop.disturbance: parameter 'kla' is -5 1/h; give a finite number, at least 0"),
        ("closed_loop:", "closed_loop:\n  scenarios: [{kla: -5}]", "closed_loop.scenarios: parameter 'kla' is -5 1/h"),
        ("closed_loop:", "closed_loop:\n  scenarios: [{kl: 5}]", "closed_loop.scenarios names 'kl'"),
        ("closed_loop:", "closed_loop:\n  time_limit: 0", "closed_loop.time_limit is 0"),
        ("hidden: [10]", "hidden: []", "study.yaml:5: training: hidden is empty; give the width of one layer or more"),
        ("hidden: [10]", "hidden: [0]", "study.yaml:6: training.hidden.0 is 0; it should be greater than or equal to 1"),
        ("hidden: [10]", "activation: relu", "activation 'relu' is unknown or not smooth; give one of tanh, softplus, sigmoid"),
        ("hidden: [10]", "trainer: sgd", "trainer 'sgd' is unknown; give one of levenberg_marquardt, keras"),
        ("seed: 1", "seed: -1", "table.seed is -1; it should be greater than or equal to 0"),
        ("source: program", "source: guess", "table.source is 'guess'; it should be 'atlas' or 'program'"),
        ("system: ecoli_fed_batch", "system: ecoli_batch", "there is no system 'ecoli_batch'; nearest known: ecoli_fed_batch"),
        ("EX_glc__D_e: [0, 12]", "EX_glc__D_e: 12", "study.yaml:3: domain.EX_glc__D_e: 'EX_glc__D_e' is 12; give a range"),
        ("EX_glc__D_e: [0, 12]", "EX_glc__D_e: [12, 0]", "study.yaml:3: domain"),
        ("problem:", "nmpc: {}\nproblem:", "there is no 'nmpc'; it is now closed_loop"),
        ("problem:", "horizon: {length: 3.0}\nproblem:", "study.yaml:9: there is no 'horizon'; it is now problem.horizon"),
        ("problem:", "reactor: {}\nproblem:", "there is no 'reactor'; it is now problem.system"),
        ("problem:", "sampling: {}\nproblem:", "there is no 'sampling'; it is now table"),
    ],
)  # fmt: skip
def test_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert message in refusal(tmp_path, changed(old, new))


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("uptake: {vmax: -1.0, half: 0.05}", "problem.system.species.0.uptake.vmax is -1.0; it should be greater"),
        ("uptake: {vmax: 10.0, half: 0}", "problem.system.species.0.uptake.half is 0; it should be greater than 0"),
        ("uptake: {vmax: 10.0, haf: 0.1}", "there is no 'haf' in problem.system.species.0.uptake; nearest known: half"),
        ("fed: -1.0", "problem.system.species.0.fed is -1.0"),
        ("molar_mass: x", "problem.system.species.0.molar_mass is 'x'; it should be a number"),
    ],
)
def test_mistake_of_a_species_is_named(tmp_path: Path, field: str, message: str) -> None:
    system = f"system:\n    species:\n      - {{name: glucose, exchange: EX_glc__D_e, unit: mmol/L, {field}}}"
    assert f"study.yaml:12: {message}" in refusal(tmp_path, changed("system: ecoli_fed_batch", system))


@pytest.mark.parametrize(
    ("aeration", "message"),
    [
        ("{kla: -5, saturation: 0.21}", "problem.system.aeration.kla is -5; it should be greater than or equal to 0"),
        ("{kla: 300.0, saturation: 0}", "problem.system.aeration.saturation is 0; it should be greater than 0"),
        ("{kla: 300.0}", "problem.system.aeration.saturation is missing; give it"),
    ],
)
def test_mistake_of_the_aeration_is_named(tmp_path: Path, aeration: str, message: str) -> None:
    system = f"""system:
    species: [{{name: oxygen, exchange: EX_o2_e, unit: mmol/L}}]
    aeration: {aeration}"""
    assert f"study.yaml:12: {message}" in refusal(tmp_path, changed("system: ecoli_fed_batch", system))


def test_study_of_a_former_version_is_led_to_the_present_keys(tmp_path: Path) -> None:
    text = "title: Old\ndomain: {EX_glc__D_e: [0, 12]}\ninitial: {volume: 1}\ncontrols: {feed: [0, 1]}\n"
    assert refusal(tmp_path, text).splitlines() == [
        "study.yaml:1: problem is missing; give it",
        "study.yaml:3: there is no 'initial'; it is now problem.initial",
        "study.yaml:4: there is no 'controls'; it is now problem.controls",
    ]


# --- hostile files

BOMB = b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (k, k, b", ".join([b"*a%d" % (k - 1)] * 10)) for k in range(1, 10)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "study.yaml is empty", id="empty"),
        pytest.param(b"# only a comment\n", "holds no mapping", id="comment"),
        pytest.param(b"just words", "holds no mapping", id="words"),
        pytest.param(b"- title: A\n", "holds no mapping", id="list"),
        pytest.param(b"title: [1, 2\n", "study.yaml:2: it is not YAML", id="not closed"),
        pytest.param(b"title: A\ntitle: B\n", "study.yaml:2: the key 'title' is given twice", id="duplicate key"),
        pytest.param(b"title: \xff\n", "study.yaml:1: byte 7 is not UTF-8", id="not UTF-8"),
        pytest.param("title: A".encode("utf-16"), "is not UTF-8", id="UTF-16"),
        pytest.param(b"\x00\x01", "is not YAML", id="binary"),
        pytest.param(b"title: A\n---\ntitle: B\n", "study.yaml:2: a second document begins", id="two documents"),
        pytest.param(b"title: !!python/object/apply:os.system [x]\n", "study.yaml:1: the tag", id="object"),
        pytest.param(b"? [a, b]\n: 1\n", "a key is no text", id="key"),
        pytest.param(b"a: &a [*a]\n", "the alias 'a' names no value before it", id="recursive alias"),
        pytest.param(BOMB, "aliases repeat more than", id="alias bomb"),
        pytest.param(b"a: " + b"[" * 100_000, "nested more than 50 deep", id="deep"),
        pytest.param(b"a: [" + b"1," * 60_000 + b"]", "more than 10000 values", id="many values"),
        pytest.param(b"a: [" + b"1," * 2_500_000 + b"]", "is larger than 256 kB", id="5 MB"),
        pytest.param(b"a: [" + b"&a 1," * 200 + b"]", "more than 100 anchors", id="anchors"),
        pytest.param(TEXT.replace("400", "9" * 5000).encode(), "table.size is inf", id="huge integer"),
        pytest.param(
            TEXT.replace("400", "1" + "0" * 17).encode(), "table.size is 100000000000000000", id="large integer"
        ),
    ],
)
def test_hostile_file_is_refused_at_once(tmp_path: Path, content: bytes, message: str) -> None:
    begun = time.process_time()
    assert message in refusal(tmp_path, content)
    assert time.process_time() - begun < 2.0


def test_few_aliases_are_read(tmp_path: Path) -> None:
    text = changed("{biomass: 0.1}", "&noise {biomass: 0.1}\n  estimated: {kla: 0.05}\n").replace(
        "wanted: null", "wanted: null"
    )
    assert read_study(written(tmp_path, text)).closed_loop is not None


@pytest.mark.parametrize("path", ["missing.yaml", "."])
def test_file_that_cannot_be_read_is_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(StudyError, match="cannot be read"):
        read_study(tmp_path / path)


@pytest.mark.parametrize("path", [None, 3, b"x", "a\0b"])
def test_path_that_is_none_is_refused(path: Any) -> None:
    with pytest.raises(StudyError):
        read_study(path)


# --- the schema


def test_template_and_case_studies_fit_the_schema() -> None:
    schema = json.loads(json.dumps(study_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    texts = [study_template(), TEXT, *(path.read_text() for path in CASES.glob("*/study.yaml"))]
    for text in texts:
        jsonschema.validate(YAML(typ="safe").load(text), schema)


def test_schema_refuses_an_unknown_key() -> None:
    with pytest.raises(jsonschema.ValidationError, match="titel"):
        jsonschema.validate({"titel": "A"}, study_schema())


def test_controller_of_a_file_has_scenarios(tmp_path: Path) -> None:
    scenarios = "closed_loop:\n  scenarios: [{}, {kla: 210.0}]\n  robust_horizon: 1.0\n  time_limit: 5.0"
    loop = read_study(written(tmp_path, TEXT.replace("closed_loop:", scenarios))).closed_loop
    assert loop is not None
    assert loop.scenarios == ({}, {"kla": 210.0})
    assert (loop.robust_horizon, loop.time_limit) == (1.0, 5.0)


def test_scenarios_and_advanced_step_exclude_each_other() -> None:
    with pytest.raises(StudyError, match="leave it or the scenarios out"):
        ClosedLoopOptions({"biomass": 0.1}, scenarios=({"kla": 210.0},), advanced_step=True)
