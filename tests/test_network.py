"""A network is frozen, knows its columns, and has a hash of everything that decides an answer and of nothing else."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from mmopt.errors import NetworkError
from mmopt.network.network import Network, check_bounds, unbounded_to_infinite


def with_bound(network: Network, reaction: str, low: float) -> Network:
    lower = network.lower.copy()
    lower[network.column(reaction)] = low
    return replace(network, lower=lower)


def with_coefficient(network: Network, reaction: str) -> Network:
    stoichiometry = network.stoichiometry.copy()
    stoichiometry[:, [network.column(reaction)]] *= 1.001
    return replace(network, stoichiometry=stoichiometry)


@pytest.mark.parametrize(
    "change",
    [
        lambda network: with_bound(network, "PFK", -12.0),
        lambda network: with_bound(network, "ATPM", 8.4),
        lambda network: with_coefficient(network, "PFK"),
        lambda network: replace(network, biomass="ATPM"),
        lambda network: replace(network, maintenance=None),
        lambda network: replace(network, reactions=(*network.reactions[:-1], "renamed")),
    ],
    ids=["bound", "demand", "stoichiometry", "biomass", "maintenance", "name"],
)
def test_hash_sees_what_decides_an_answer(textbook: Network, change: Callable[[Network], Network]) -> None:
    assert change(textbook).hash != textbook.hash


@pytest.mark.parametrize("change", [{"genes": ()}, {"rules": {}}, {"name": "another"}], ids=["genes", "rules", "name"])
def test_hash_does_not_see_what_decides_nothing(textbook: Network, change: dict[str, object]) -> None:
    assert replace(textbook, **change).hash == textbook.hash  # type: ignore[arg-type]


def test_network_made_without_genes_has_none(textbook: Network) -> None:
    fields = {name: getattr(textbook, name) for name in Network.__dataclass_fields__ if name not in ("genes", "rules")}
    bare = Network(**fields)
    assert (bare.genes, dict(bare.rules)) == ((), {})


def test_network_is_frozen(textbook: Network) -> None:
    with pytest.raises(FrozenInstanceError):
        textbook.biomass = "ATPM"  # type: ignore[misc]


def test_unknown_reaction_names_the_nearest(textbook: Network) -> None:
    with pytest.raises(NetworkError, match=r"e_coli_core has no reaction 'PFKK'; nearest known: PFK"):
        textbook.column("PFKK")


def test_unknown_exchange_names_the_nearest(textbook: Network) -> None:
    with pytest.raises(NetworkError, match=r"no exchange 'EX_glc_e'; nearest known: EX_glc__D_e"):
        textbook.exchange("EX_glc_e")


def test_reaction_of_the_inside_is_refused_as_exchange(textbook: Network) -> None:
    with pytest.raises(NetworkError, match=r"no exchange 'PFK'"):
        textbook.exchange("PFK")


def test_network_without_maintenance_has_no_demand(textbook: Network) -> None:
    assert replace(textbook, maintenance=None).maintenance_demand == 0.0


def test_bounds_of_a_thousand_become_infinite() -> None:
    assert unbounded_to_infinite(np.array([-1.0e3, -999.0, 0.0, 999999.0])).tolist() == [-np.inf, -999.0, 0.0, np.inf]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (np.nan, 1.0, "reaction 'b' has a bound that is not a number"),
        (0.0, np.nan, "reaction 'b' has a bound that is not a number"),
        (2.0, 1.0, "reaction 'b' has lower bound 2 above upper bound 1"),
        (np.inf, np.inf, "reaction 'b' has bounds inf and inf, which no flux keeps"),
        (-np.inf, -np.inf, "reaction 'b' has bounds -inf and -inf, which no flux keeps"),
    ],
)
def test_bounds_that_no_flux_keeps_are_refused(low: float, high: float, said: str) -> None:
    with pytest.raises(NetworkError, match=said):
        check_bounds(["a", "b"], np.array([0.0, low]), np.array([0.0, high]))
