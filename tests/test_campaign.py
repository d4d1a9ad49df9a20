"""A campaign is the same whoever runs it and however often it is killed, and tells what single loops tell."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmopt import Horizon, Problem, ecoli_fed_batch, load_surrogate
from mmopt.control import Campaign, ControlledBatch, load_campaign, run_campaign
from mmopt.errors import StudyError
from mmopt.figures import plot_campaign

START = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
NOISE = {"volume": 0.005, "biomass": 0.05, "glucose": 0.05, "acetate": 0.02, "oxygen": 0.003}
SEEDS = (3, 1, 4)

SCRIPT = """
from pathlib import Path
from test_campaign import SEEDS, batch
from mmopt.control import run_campaign

if __name__ == "__main__":
    run_campaign(batch(), SEEDS, folder=Path("saved"))
"""


def batch() -> ControlledBatch:
    """Two hours on the core network, with less oxygen transfer than the controller assumes."""
    cell = load_surrogate("ecoli_textbook")
    limits = {"oxygen_saturation": (20.0, None), "volume": (None, 3.0)}
    problem = Problem(ecoli_fed_batch(), START, Horizon(2.0, 4), {"feed": (0.0, 0.1)}, limits)
    aims = {"oxygen_saturation": (45.0, None)}
    return ControlledBatch(problem, cell, cell, 0.5, NOISE, {"kla": 280.0}, {"kla": 0.05}, aims)


@pytest.fixture(scope="module")
def campaign() -> Campaign:
    return run_campaign(batch(), SEEDS)


def same(one: Campaign, other: Campaign) -> bool:
    """Whether two campaigns have the same bits, but for the seconds."""
    first, second = one.data.drop_vars("seconds"), other.data.drop_vars("seconds")
    return bool(first.identical(second))


def test_campaign_is_its_single_loops(campaign: Campaign) -> None:
    alone = batch().run(SEEDS[2])
    assert campaign.objectives[2] == alone.objective
    assert campaign.fallbacks[2] == alone.fallbacks
    assert campaign.data["biomass"].values[2, -1] == alone.trajectory.final("biomass")


def test_seeds_are_in_the_order_given_and_differ(campaign: Campaign) -> None:
    assert campaign.data["seed"].values.tolist() == list(SEEDS)
    assert len(set(campaign.objectives)) == len(SEEDS)


def test_horizon_that_recedes_runs_as_long_as_wanted() -> None:
    receding = replace(batch(), hours=2.0 * batch().problem.horizon.hours, problem=replace(batch().problem, final={}))
    campaign = run_campaign(receding, SEEDS[:2])
    assert campaign.data["time"].values[-1] == pytest.approx(receding.hours)
    assert campaign.data.sizes["step"] == receding.steps == 2 * batch().steps
    np.testing.assert_array_equal(campaign.objectives, [receding.run(seed).objective for seed in SEEDS[:2]])


def test_limits_at_the_end_of_a_horizon_that_recedes_do_not_count() -> None:
    ends = replace(batch().problem, final={"volume": (2.9, None)})
    assert replace(batch(), problem=ends, hours=3.0).counted.final == {}
    assert replace(batch(), problem=ends).counted.final == ends.final


@pytest.mark.parametrize("hours", [0.0, -1.0, float("inf"), "long"])
def test_impossible_length_of_a_batch_is_refused(hours: object) -> None:
    with pytest.raises(StudyError, match="hours is"):
        replace(batch(), hours=hours)


def test_a_control_is_held_between_its_moves(campaign: Campaign) -> None:
    first = batch().run(SEEDS[0])
    at = np.searchsorted(campaign.data["time"].values, [0.25, 1.25])
    assert campaign.data["feed"].values[0, at].tolist() == [first.steps[k].move.controls["feed"] for k in (0, 2)]


def test_limits_that_count_are_those_of_the_problem(campaign: Campaign) -> None:
    strict = replace(batch().problem, limits={"oxygen_saturation": (90.0, None)})
    aimed = {"oxygen_saturation": (45.0, None), "volume": (None, 3.0)}
    seen = run_campaign(replace(batch(), problem=strict, aims=aimed), SEEDS[:1])
    assert campaign.violations[0] < 0.05 < seen.violations[0]
    assert (campaign.violating, seen.violating) == (0, 1)


def test_batch_does_not_depend_on_those_before_it() -> None:
    """What was estimated in one batch is no start of the next, whose problem is hard enough to show a last digit."""
    hard = replace(
        batch(), problem=replace(batch().problem, horizon=Horizon(2.0, 4)), aims={}, disturbance={"kla": 280.0}
    )
    moves = [[(step.move.controls, step.move.iterations) for step in hard.run(seed).steps] for seed in (0, 3, 0)]
    assert moves[0] == moves[2]
    assert moves[0] != moves[1]


@pytest.mark.slow
def test_processes_make_the_same_campaign(campaign: Campaign) -> None:
    calls: list[tuple[int, int]] = []
    assert same(run_campaign(batch(), SEEDS, workers=2, progress=lambda *call: calls.append(call)), campaign)
    assert calls == [(done, len(SEEDS)) for done in range(len(SEEDS) + 1)]


@pytest.mark.slow
def test_killed_campaign_is_completed_to_the_same_table(campaign: Campaign, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {"PYTHONPATH": str(Path(__file__).parent), "PATH": ""}
    with subprocess.Popen([sys.executable, "script.py"], cwd=tmp_path, env=environment) as process:
        while process.poll() is None and not list(tmp_path.glob("saved/seed_*.nc")):
            time.sleep(0.01)
        process.kill()
    done = len(list(tmp_path.glob("saved/seed_*.nc")))
    assert 1 <= done < len(SEEDS)
    calls: list[int] = []
    resumed = run_campaign(batch(), SEEDS, folder=tmp_path / "saved", progress=lambda k, _: calls.append(k))
    assert calls == list(range(done, len(SEEDS) + 1))
    assert same(resumed, campaign)


def test_folder_of_another_batch_is_refused(tmp_path: Path) -> None:
    run_campaign(batch(), SEEDS[:1], folder=tmp_path)
    with pytest.raises(StudyError, match="holds a campaign of another batch"):
        run_campaign(replace(batch(), disturbance={"kla": 250.0}), SEEDS[:1], folder=tmp_path)


def test_campaign_grows_in_its_folder_after_its_objects_were_used(campaign: Campaign, tmp_path: Path) -> None:
    own = batch()
    run_campaign(own, SEEDS[:1], folder=tmp_path)
    own.run(seed=99)
    calls: list[int] = []
    larger = run_campaign(own, SEEDS[:2], folder=tmp_path, progress=lambda done, _: calls.append(done))
    assert calls == [1, 2]
    assert larger.objectives.tolist() == campaign.objectives[:2].tolist()


def test_saved_campaign_is_read_again(campaign: Campaign, tmp_path: Path) -> None:
    assert load_campaign(campaign.save(tmp_path / "campaign.nc")).data.identical(campaign.data)


def test_table_has_a_row_for_every_batch(campaign: Campaign, tmp_path: Path) -> None:
    lines = campaign.to_csv(tmp_path / "campaign.csv").read_text().splitlines()
    assert [int(float(line.split(",")[0])) for line in lines[1:]] == list(SEEDS)


def test_figure_shows_states_controls_limits_and_objectives(campaign: Campaign) -> None:
    titles = [panel.get_title("left") for panel in plot_campaign(campaign, limits={"growth": (None, 1.0)}).axes]
    assert titles[-1] == "objective"
    assert {"biomass", "feed", "growth"} <= set(titles)
    with pytest.raises(StudyError, match="the campaign has no 'bioma'; nearest known: biomass"):
        campaign.plot(["bioma"])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"problem": 3}, "problem is 3; give a Problem"),
        ({"interval": float("nan")}, "interval is nan"),
        ({"noise": {"biomas": 0.1}}, "'biomas' is no state and no derived quantity; nearest known: biomass"),
        ({"noise": [0.1]}, "noise is .*; give a mapping"),
        ({"disturbance": {"kl": 200.0}}, "'kl'"),
        ({"drifting": {"kla": -1.0}}, "drift of kla is -1"),
        ({"aims": {"oxygen_saturatio": (30.0, None)}}, "oxygen_saturation"),
    ],
    ids=str,
)
def test_batch_is_checked_where_it_is_made(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(StudyError, match=says):
        replace(batch(), **wrong)


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1], 3, ["a"], [0.5], None], ids=str)
def test_seeds_that_make_no_sense_are_refused(seeds: list[int]) -> None:
    with pytest.raises(StudyError, match="give different whole numbers from 0 on"):
        run_campaign(batch(), seeds)


def test_damaged_campaign_is_refused(campaign: Campaign, tmp_path: Path) -> None:
    file = campaign.save(tmp_path / "campaign.nc")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(StudyError, match="is not a campaign mmopt wrote"):
        load_campaign(file)


def test_summary_line_says_what_a_reader_asks_first(campaign: Campaign) -> None:
    assert repr(campaign).startswith("Campaign of 3 batches: objective ")
    assert "0 violate a limit by more than 5 %" in repr(campaign)
