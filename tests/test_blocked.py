"""Reactions that cannot run are known exactly: by three steps on small networks, and as cobra finds them on large ones."""

from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files

import numpy as np
import pytest
import scipy.sparse as sp
from cobra.flux_analysis import find_blocked_reactions
from cobra.io import read_sbml_model
from scipy.optimize import linprog

from mmopt.fba import pfba
from mmopt.network import Network
from mmopt.network.blocked import running_directions
from mmopt.status import Status


def runs(rows: Sequence[Sequence[float]], reversible: Sequence[int] = ()) -> list[bool]:
    """Whether each reaction of a small network can run; rows are metabolites."""
    stoichiometry = sp.csc_array(np.array(rows, dtype=float))
    forward = np.full(stoichiometry.shape[1], True)
    reverse = np.isin(np.arange(len(forward)), reversible)
    running = running_directions(stoichiometry, forward, reverse)
    return (running[0] | running[1]).tolist()


def test_chain_from_border_to_border_runs() -> None:
    assert runs([[1, -1, 0], [0, 1, -1]]) == [True, True, True]


def test_chain_to_a_dead_end_is_blocked_all_along() -> None:
    # -> a, a -> b, b -> c, a ->
    assert runs([[1, -1, 0, -1], [0, 1, -1, 0], [0, 0, 1, 0]]) == [True, False, False, True]


def test_chain_from_nothing_is_blocked_all_along() -> None:
    # b -> a, a ->, c -> b
    assert runs([[1, -1, 0], [-1, 0, 1], [0, 0, -1]]) == [False, False, False]


def test_reversible_reaction_to_a_dead_end_is_blocked() -> None:
    assert runs([[1, -1, -1], [0, 0, 1]], reversible=[2]) == [True, True, False]


def test_reaction_written_backwards_runs() -> None:
    # a <- b in the reverse direction alone: the border makes a, and b leaves
    stoichiometry = sp.csc_array(np.array([[1.0, 1.0, 0.0], [0.0, -1.0, -1.0]]))
    forward, reverse = running_directions(stoichiometry, np.array([True, False, True]), np.array([False, True, False]))
    assert (forward.tolist(), reverse.tolist()) == ([True, False, True], [False, True, False])


def test_irreversible_cycle_that_grows_is_blocked() -> None:
    # a -> 2 b, b -> a: both are made and both are used, yet no flux keeps both level
    assert runs([[-1, 1], [2, -1]]) == [False, False]


def test_irreversible_cycle_that_is_level_runs() -> None:
    assert runs([[-1, 1], [1, -1]]) == [True, True]


def test_irreversible_reaction_that_would_need_another_to_run_backwards_is_blocked() -> None:
    # -> a, a -> , b -> a, a -> b + c, c -> , b <-> d where nothing else touches d
    rows = [[1, -1, 1, -1, 0, 0], [0, 0, -1, 1, 0, -1], [0, 0, 0, 1, -1, 0], [0, 0, 0, 0, 0, 1]]
    assert runs(rows, reversible=[5]) == [True, True, True, True, True, False]


def test_reversible_cycle_that_grows_is_blocked() -> None:
    assert runs([[-1, 1], [2, -1]], reversible=[0, 1]) == [False, False]


def test_reversible_cycle_that_is_level_runs() -> None:
    assert runs([[-1, 1], [1, -1]], reversible=[0, 1]) == [True, True]


def test_reversible_cycle_that_grows_is_blocked_beside_what_runs() -> None:
    # -> a -> , and b <-> 2 c, c <-> b
    rows = [[1, -1, 0, 0], [0, 0, -1, 1], [0, 0, 2, -1]]
    assert runs(rows, reversible=[2, 3]) == [True, True, False, False]


def test_small_coefficients_block_nothing() -> None:
    # -> a, 1e-6 a -> b, b ->
    assert runs([[1, -1.0e-6, 0], [0, 1, -1]]) == [True, True, True]


def test_direction_that_the_bounds_forbid_does_not_run() -> None:
    assert not running_directions(
        sp.csc_array(np.array([[1.0, -1.0]])), np.array([True, True]), np.array([False, False])
    )[1].any()


def test_network_in_which_nothing_may_run_is_blocked() -> None:
    idle = np.array([False, False])
    forward, reverse = running_directions(sp.csc_array(np.array([[1.0, -1.0]])), idle, idle)
    assert not np.any(forward | reverse)


def test_search_that_ends_without_an_optimum_blocks_dead_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmopt.network.blocked.maximise", lambda *_: (np.zeros(9), Status.UNBOUNDED))
    # -> a ->, a cycle b <-> c that grows, and a -> d that nothing consumes
    assert runs([[1, -1, 0, 0, -1], [0, 0, -1, 1, 0], [0, 0, 2, -1, 0], [0, 0, 0, 0, 1]]) == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert runs([[1, -1, 0, 0, -1], [0, 0, 1, -1, 0]]) == [True, True, True, True, True]


@pytest.mark.parametrize("blocked", [["Biomass_Ecoli_core"], ["Biomass_Ecoli_core", "PFK", "GLUSy"]])
def test_search_that_removes_growth_is_left_out(
    textbook: Network, monkeypatch: pytest.MonkeyPatch, blocked: list[str]
) -> None:
    def too_many(*arguments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        forward, reverse = running_directions(*arguments)
        kept = ~np.isin(textbook.reactions, blocked)
        return forward & kept, reverse & kept

    expected = pfba(textbook, {"EX_glc__D_e": 7.0}).net
    monkeypatch.setattr(import_module("mmopt.fba.flux_problem"), "running_directions", too_many)
    assert pfba(textbook, {"EX_glc__D_e": 7.0}).net == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("tiny", [1.0e-7, 1.0e-9, 1.0e-12])
@pytest.mark.parametrize("length", [2, 5])
def test_chain_of_tiny_coefficients_runs(tiny: float, length: int) -> None:
    rows = np.zeros((length, length + 1))
    for row in range(length):
        rows[row, row], rows[row, row + 1] = (1.0, -tiny) if row % 2 else (tiny, -1.0)
    assert runs(rows.tolist(), reversible=[1]) == [True] * (length + 1)


def can_run(stoichiometry: np.ndarray, forward: np.ndarray, reverse: np.ndarray) -> list[bool]:
    """Whether each reaction can run, by two linear programs each."""
    rows, columns = stoichiometry.shape
    bounds = [(-float(back), float(ahead)) for ahead, back in zip(forward, reverse, strict=True)]
    return [
        any(
            -linprog(-way * np.eye(columns)[column], A_eq=stoichiometry, b_eq=np.zeros(rows), bounds=bounds).fun
            > 1.0e-7
            for way in (1.0, -1.0)
        )
        for column in range(columns)
    ]


@pytest.mark.parametrize("seed", range(25))
def test_random_network_is_read_as_two_programs_a_reaction_read_it(seed: int) -> None:
    generator = np.random.default_rng(seed)
    stoichiometry = np.where(generator.random((7, 12)) < 0.25, generator.integers(-2, 3, (7, 12)), 0).astype(float)
    forward, reverse = generator.random(12) < 0.8, generator.random(12) < 0.4
    running = running_directions(sp.csc_array(stoichiometry), forward, reverse)
    assert (running[0] | running[1]).tolist() == can_run(stoichiometry, forward, reverse)


@pytest.mark.parametrize("exchanges", ["as shipped", "all open"])
def test_blocked_reactions_of_the_textbook_network_are_those_of_cobra(textbook: Network, exchanges: str) -> None:
    source = read_sbml_model(str(files("cobra.data") / "textbook.xml.gz"))
    source.reactions.ATPM.lower_bound = 0.0  # bounds count by their signs
    lower, upper = textbook.lower.copy(), textbook.upper.copy()
    if exchanges == "all open":
        for exchange in textbook.exchanges:
            source.reactions.get_by_id(exchange).bounds = (-1000.0, 1000.0)
            lower[textbook.column(exchange)], upper[textbook.column(exchange)] = -np.inf, np.inf
    forward, reverse = running_directions(textbook.stoichiometry, upper > 0.0, lower < 0.0)
    blocked = set(np.array(textbook.reactions)[~(forward | reverse)])
    assert blocked == set(find_blocked_reactions(source))


@pytest.mark.genome
@pytest.mark.parametrize(("exchanges", "count"), [("as shipped", 878), ("all open", 226)])
def test_blocked_reactions_of_ijo1366_are_as_many_as_cobra_finds(ijo1366: Network, exchanges: str, count: int) -> None:
    # cobra takes a minute for each of these numbers, which are those of its find_blocked_reactions
    open_ones = np.isin(ijo1366.reactions, ijo1366.exchanges) & (exchanges == "all open")
    forward, reverse = running_directions(
        ijo1366.stoichiometry, (ijo1366.upper > 0.0) | open_ones, (ijo1366.lower < 0.0) | open_ones
    )
    assert np.count_nonzero(~(forward | reverse)) == count


@pytest.mark.genome
@pytest.mark.parametrize("name", ["ijo1366", "salmonella"])
def test_every_reaction_that_ran_can_run(request: pytest.FixtureRequest, points: np.ndarray, name: str) -> None:
    network, batch = request.getfixturevalue(name), request.getfixturevalue(f"{name}_labels")
    opened = np.isin(network.reactions, ["EX_glc__D_e", "EX_o2_e", "EX_ac_e"])
    forward, reverse = running_directions(network.stoichiometry, network.upper > 0.0, (network.lower < 0.0) | opened)
    ran = np.abs(batch.net).max(axis=0) > 1.0e-9
    assert not np.any(ran & ~(forward | reverse))


@pytest.mark.genome
@pytest.mark.parametrize("name", ["ijo1366", "salmonella"])
def test_one_flux_runs_every_irreversible_reaction_that_can_run(request: pytest.FixtureRequest, name: str) -> None:
    network = request.getfixturevalue(name)
    forward, reverse = running_directions(network.stoichiometry, network.upper > 0.0, network.lower < 0.0)
    running = forward | reverse
    columns_that_run = network.stoichiometry[:, np.flatnonzero(running)]
    bounds = np.column_stack([np.where(reverse, -np.inf, 1.0), np.where(forward, np.inf, -1.0)])[running]
    program = linprog(
        np.zeros(len(bounds)), A_eq=columns_that_run, b_eq=np.zeros(columns_that_run.shape[0]), bounds=bounds
    )
    assert program.status == 0
