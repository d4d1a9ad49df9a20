"""The soft law in simulations, optimisations and controllers: nothing is trained, and the exact fluxes agree."""

from pathlib import Path

import casadi
import numpy as np
import pytest

from mmopt import (
    Atlas,
    ConstantFeed,
    Controller,
    Domain,
    Horizon,
    Network,
    OptimiseOptions,
    Problem,
    Study,
    ecoli_fed_batch,
    optimise,
    read_study,
)
from mmopt.errors import StudyError, SurrogateError
from mmopt.problem.simulator import Simulator
from mmopt.report import write_report
from mmopt.solvers.affine_law import Mixture
from mmopt.solvers.dense import AtColumns, NetworkAtPoints
from mmopt.study import open_run, tables
from mmopt.study.plans import plan_and_replay
from mmopt.study.surrogates import fresh_or_known_surrogate, surrogate_of
from mmopt.surrogate import SoftLaw, soft_law

START = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
READ = ["growth", "shortfall", "EX_glc__D_e", "EX_o2_e", "EX_ac_e"]


@pytest.fixture(scope="module")
def atlas(textbook: Network, domain: Domain) -> Atlas:
    explored = Atlas(textbook, domain)
    explored.explore()
    return explored


@pytest.fixture(scope="module")
def law(atlas: Atlas) -> SoftLaw:
    return soft_law(atlas, error=0.05)


def problem(hours: float = 6.0, elements: int = 12) -> Problem:
    limits = {"oxygen_saturation": (20.0, None), "acetate": (None, 2.0), "volume": (None, 3.0)}
    return Problem(ecoli_fed_batch(), START, Horizon(hours, elements), {"feed": (0.0, 0.1)}, limits)


def points(law: SoftLaw, count: int = 40) -> np.ndarray:
    unit = np.random.default_rng(2).random((count, len(law.inputs)))
    drawn: np.ndarray = law.domain.lower + unit * (law.domain.upper - law.domain.lower)
    return drawn


def test_layer_gives_what_the_law_predicts(law: SoftLaw) -> None:
    at = points(law)
    assert pytest.approx(law.predict(at, READ), abs=1.0e-10) == law.layers(READ)[0].values(at.T, np).T


def test_slopes_and_curvatures_are_differences(law: SoftLaw) -> None:
    layer, at, step = law.layers(READ)[0], points(law).T, 1.0e-4
    _, slopes, curvatures = layer.derivatives(at, np)
    for i in range(len(law.inputs)):
        moved = [at + sign * step * np.eye(len(law.inputs))[:, [i]] for sign in (1.0, -1.0)]
        values, sloped = zip(*(layer.derivatives(each, np)[:2] for each in moved), strict=True)
        assert slopes[i] == pytest.approx((values[0] - values[1]) / (2.0 * step), abs=1.0e-4)
        for j in range(i, len(law.inputs)):
            bend = (sloped[0][j] - sloped[1][j]) / (2.0 * step)
            assert curvatures[i, j] == pytest.approx(bend, abs=1.0e-3 * max(1.0, np.abs(bend).max()))


def test_casadi_and_the_grey_box_have_the_same_derivatives(law: SoftLaw) -> None:
    layers, at = law.layers(READ), points(law, 3)
    functions = AtColumns(layers, np.arange(at.size).reshape(at.shape), at.size)
    box = NetworkAtPoints(layers, len(at))
    push = np.random.default_rng(1).normal(size=len(at) * len(READ))
    box.set_input_values(at.ravel())
    box.set_output_constraint_multipliers(push)
    assert functions.values(at.ravel()).full().ravel() == pytest.approx(box.evaluate_outputs(), abs=1.0e-10)
    jacobian = box.evaluate_jacobian_outputs().toarray()
    assert functions.jacobian(at.ravel()).full() == pytest.approx(jacobian, abs=1.0e-9)
    hessian = box.evaluate_hessian_outputs().toarray()
    assert functions.hessian(at.ravel(), push).full() == pytest.approx(hessian.T, abs=1.0e-8)


def test_scores_of_any_size_overflow_nowhere() -> None:
    steep = Mixture(np.array([[-1.0e6], [1.0e6]]), np.zeros(2), np.array([[[1.0], [2.0]], [[0.0], [0.0]]]))
    for of in (np, casadi):
        values = np.array(steep.values(np.array([[-3.0, 3.0]]) if of is np else casadi.DM([[-3.0, 3.0]]), of))
        assert values.ravel().tolist() == [-3.0, 6.0]


def test_plan_is_right_on_the_exact_fluxes(law: SoftLaw, atlas: Atlas) -> None:
    plan = optimise(problem(), law)
    exact = plan.replay(atlas)
    assert plan.keeps_limits
    assert exact.gap < 2.0e-3
    assert exact.worst_violation < 0.01


def test_simulation_follows_the_exact_fluxes_and_ends_at_zero(law: SoftLaw, atlas: Atlas) -> None:
    feed = {"feed": ConstantFeed(0.0)}
    smooth, exact = (Simulator(problem(8.0), cell).run(feed, points=200) for cell in (law, atlas))
    assert smooth.final("biomass") == pytest.approx(exact.final("biomass"), rel=2.0e-3)
    assert smooth["glucose"].min() > -1.0e-5
    assert smooth["acetate"].min() > -2.0e-3


def test_controller_takes_it(law: SoftLaw) -> None:
    move = Controller(problem(4.0, 8), law, 0.5).step(0.0, START)
    assert (move.fallback, move.violations) == ("", ())


def test_other_formulations_are_refused(law: SoftLaw) -> None:
    with pytest.raises(StudyError, match="a soft law goes into equations as a grey box alone"):
        optimise(problem(), law, options=OptimiseOptions(formulation="reduced_space"))


def test_growth_from_planes_is_refused(atlas: Atlas) -> None:
    planes = soft_law(atlas, error=0.05, growth="planes")
    with pytest.raises(SurrogateError, match="growth from its planes is not for optimisations"):
        optimise(problem(), planes)


def test_surrogate_that_is_to_be_trained_further_is_a_trained_one(law: SoftLaw, atlas: Atlas) -> None:
    with pytest.raises(StudyError, match="to adapt, give a trained surrogate"):
        optimise(problem(), law, reference=atlas, adapt=True)


# in a study file

STUDY = """
title: A batch by its soft law
network: textbook
domain: {EX_glc__D_e: [0.0, 12.0], EX_o2_e: [0.0, 16.0], EX_ac_e: [0.0, 4.0]}
soft_law: 0.05
problem:
  system: ecoli_fed_batch
  initial: {volume: 2.0, biomass: 1.0, glucose: 4.0, acetate: 0.0, oxygen: 0.2}
  horizon: {length: 2.0, elements: 10}
  controls: {feed: [0.0, 0.1]}
  limits: {oxygen_saturation: [20.0, null]}
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "study.yaml").write_text(STUDY)
    return read_study(tmp_path / "study.yaml")


def test_study_with_a_soft_law_is_optimised_and_its_errors_are_on_the_page(
    study: Study, textbook: Network, tmp_path: Path
) -> None:
    run = open_run(tmp_path / "run", study.title)
    law = fresh_or_known_surrogate(study, run, textbook, fresh=True)
    assert isinstance(law, SoftLaw)
    plan, replay = plan_and_replay(run, study.problem, law, Atlas(textbook, law.domain))
    assert plan.status.solved
    assert replay.gap < 0.01
    assert "Largest errors, proved" in write_report(run.folder).read_text()


def test_soft_law_of_a_study_needs_all_regions(
    study: Study, textbook: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_EXPLORABLE", 2)
    with pytest.raises(StudyError, match=r"needs all critical regions .* but the \d+ that are known fill .* of it"):
        surrogate_of(study, open_run(tmp_path / "run", study.title), textbook)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("soft_law: 0.05\nsurrogate: ecoli_textbook", "surrogate and soft_law are both given"),
        ("soft_law: 1.0", "soft_law is 1; give a fraction"),
        ("soft_law: 0", "soft_law"),
        ("soft_law: yes", "soft_law"),
    ],
)
def test_wrong_soft_law_of_a_study_is_refused(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.replace("soft_law: 0.05", line))
    with pytest.raises(StudyError, match=said):
        read_study(tmp_path / "study.yaml")
