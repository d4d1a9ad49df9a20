"""A network is frozen, knows its columns, and has a hash of everything that decides an answer and of nothing else."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from mmopt.errors import DomainError, NetworkError
from mmopt.network import (
    LinearLimit,
    Network,
    knock_out,
    reactions_lost,
    read_network,
    set_bounds,
    set_medium,
    set_objective,
)
from mmopt.network.network_checks import check_bounds, unbounded_to_infinite


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


def test_network_built_without_genes_has_none(textbook: Network) -> None:
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
    ("low", "high", "message"),
    [
        (np.nan, 1.0, "reaction 'b' has a bound that is not a number"),
        (0.0, np.nan, "reaction 'b' has a bound that is not a number"),
        (2.0, 1.0, "reaction 'b' has lower bound 2 above upper bound 1"),
        (np.inf, np.inf, "reaction 'b' has bounds inf and inf, which no flux keeps"),
        (-np.inf, -np.inf, "reaction 'b' has bounds -inf and -inf, which no flux keeps"),
    ],
)
def test_bounds_that_no_flux_keeps_are_refused(low: float, high: float, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        check_bounds(["a", "b"], np.array([0.0, low]), np.array([0.0, high]))


@pytest.mark.parametrize("show", [repr, str, Network._repr_html_])
def test_network_shows_itself_briefly(ijo1366: Network, show: Callable[[Network], str]) -> None:
    text = show(ijo1366)
    assert len(text) < 700
    assert "iJO1366" in text
    assert "2583" in text
    assert " at 0x" not in text


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("name", None, "name is None; give a text"),
        ("reactions", "PFK", "reactions is 'PFK'; give a tuple of ids"),
        ("reactions", None, "reactions is None; give a tuple of ids"),
        ("metabolites", ("a", 3.0), "metabolites is .*; give a tuple of ids"),
        ("genes", ("b1", "b1"), "genes names 'b1' twice; give every id once"),
        ("stoichiometry", np.zeros((72, 95)), "stoichiometry is .*; give a scipy.sparse.csc_array"),
        ("stoichiometry", sp.csc_array((3, 95)), r"stoichiometry has shape \(3, 95\)"),
        ("stoichiometry", sp.csc_array(np.full((72, 95), np.nan)), "stoichiometry holds what is not a finite number"),
        ("lower", None, "lower is None; give an array of 95 numbers"),
        ("upper", np.zeros(3), "upper is array.*; give an array of 95 numbers"),
        ("upper", np.full(95, "x"), "upper is array.*; give an array of 95 numbers"),
        ("lower", np.full(95, np.nan), "reaction 'ACALD' has a bound that is not a number"),
        ("biomass", "growth", "biomass: there is no reaction 'growth'; known"),
        ("biomass", None, "biomass: there is no reaction None; known"),
        ("maintenance", "ATPMM", "maintenance: there is no reaction 'ATPMM'; nearest known: ATPM"),
        ("exchanges", ("EX_glc_e",), "exchanges: there is no reaction 'EX_glc_e'; nearest known: EX_glc__D_e"),
        ("carbon", 6.0, "carbon is 6.0; give a mapping by reaction id"),
        ("rules", "b1 and b2", "rules is 'b1 and b2'; give a mapping by reaction id"),
    ],
)
def test_wrong_argument_is_named(textbook: Network, argument: str, value: object, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        replace(textbook, **{argument: value})


@pytest.mark.parametrize("name", [None, 3, float("nan"), ["PFK"], b"PFK"])
def test_id_that_is_no_text_is_unknown(textbook: Network, name: object) -> None:
    with pytest.raises(NetworkError, match=r"has no reaction .*; known: "):
        textbook.column(name)  # type: ignore[arg-type]
    with pytest.raises(NetworkError, match=r"has no exchange .*; known: "):
        textbook.exchange(name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": None}, "name is None; give the name of the limit"),
        ({"most": None}, "limit 'flux' is None; give a finite number"),
        ({"most": "large"}, "limit 'flux' is 'large'; give a finite number"),
        ({"most": np.nan}, "limit 'flux' is nan; give a finite number"),
        ({"weights": ["PFK"]}, r"weights of limit 'flux' are \['PFK'\]; give a mapping"),
        ({"weights": {"PFK": "heavy"}}, "weight of PFK in limit 'flux' is 'heavy'; give a finite number"),
        ({"net": "yes"}, "net of limit 'flux' is 'yes'; give True or False"),
    ],
)
def test_wrong_argument_of_a_limit_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DomainError, match=message):
        LinearLimit(**{"name": "flux", "most": 1.0, **arguments})


@pytest.mark.parametrize("bounds", [None, "PFK", {"PFK": 1.0}, {"PFK": (0.0,)}, {"PFK": ("low", 1.0)}, {"PFK": None}])
def test_bounds_of_another_kind_are_refused(textbook: Network, bounds: Any) -> None:
    with pytest.raises(NetworkError, match=r"bounds (of reaction 'PFK' are|is) .*; give a (pair of numbers|mapping)"):
        set_bounds(textbook, bounds)


@pytest.mark.parametrize("limit", [None, "much", np.nan, -1.0])
def test_uptake_that_is_no_number_is_refused(textbook: Network, limit: Any) -> None:
    with pytest.raises(DomainError, match=r"uptake limit of EX_glc__D_e is .*; give a number from 0 up"):
        set_medium(textbook, {"EX_glc__D_e": limit})


@pytest.mark.parametrize("network", [None, "textbook", 3.0, ["PFK"]])
@pytest.mark.parametrize(
    "use",
    [
        lambda network: knock_out(network, "PFK"),
        lambda network: reactions_lost(network, "PFK"),
        lambda network: set_bounds(network, {}),
        lambda network: set_medium(network, {}),
        lambda network: set_objective(network, "PFK"),
        lambda network: LinearLimit("flux", 1.0).coefficients(network),
    ],
    ids=["knock_out", "reactions_lost", "set_bounds", "set_medium", "set_objective", "coefficients"],
)
def test_what_is_no_network_is_refused(network: Any, use: Callable[[Any], object]) -> None:
    with pytest.raises(NetworkError, match=r"network is .*; give a Network, as read_network returns it"):
        use(network)


@pytest.mark.parametrize("name", [None, 3, ["PFK"], {"PFK": 1.0}, np.zeros(2)])
def test_gene_that_is_no_text_is_unknown(textbook: Network, name: Any) -> None:
    with pytest.raises(NetworkError, match="e_coli_core has no gene or reaction"):
        knock_out(textbook, name)


@pytest.mark.parametrize("argument", ["biomass", "maintenance"])
def test_reaction_that_is_no_text_is_named(argument: str) -> None:
    with pytest.raises(NetworkError, match=rf"{argument} is 3; give the id of a reaction as a text"):
        read_network("textbook", **{argument: 3})  # type: ignore[arg-type]


@pytest.mark.parametrize("source", ["x" * 10**5, "\0", ""])
def test_path_that_cannot_be_is_refused(source: str) -> None:
    with pytest.raises(NetworkError, match=r"there is no file '.*, and no packaged network of that name") as error:
        read_network(source)
    assert len(str(error.value)) < 300
