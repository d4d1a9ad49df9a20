"""Variants of a network: cobra's deletions agree, media close what they do not name, and every variant has its own hash."""

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import cobra
import numpy as np
import pytest
from cobra.flux_analysis import single_gene_deletion, single_reaction_deletion
from cobra.io import read_sbml_model

from mmopt.errors import DomainError, NetworkError
from mmopt.fba import FluxProgram, essential, pfba, single_deletions
from mmopt.network import Network, knock_out, reactions_lost, set_bounds, set_medium, set_objective

GLUCOSE = {"EX_glc__D_e": 10.0}
GROWTH = 0.8739215


@pytest.fixture(scope="module")
def source() -> cobra.Model:
    """The textbook network as cobra reads it, on glucose in air."""
    return read_sbml_model(str(Path(str(files("cobra.data").joinpath("textbook.xml.gz")))))


@pytest.fixture(scope="module")
def cobras_growth(source: cobra.Model) -> dict[str, float]:
    """Growth without each gene, by cobra; 0 where it finds none."""
    table = single_gene_deletion(source, processes=1)
    return {next(iter(ids)): float(np.nan_to_num(growth)) for ids, growth in zip(table.ids, table.growth, strict=True)}


@pytest.fixture(scope="module")
def growth(textbook: Network) -> dict[str, float]:
    return dict(single_deletions(textbook, GLUCOSE))


def test_every_gene_is_deleted(textbook: Network, growth: dict[str, float]) -> None:
    assert tuple(growth) == textbook.genes


def test_growth_without_a_gene_is_cobras(growth: dict[str, float], cobras_growth: dict[str, float]) -> None:
    assert growth == pytest.approx(cobras_growth, abs=1.0e-6)


def test_essential_genes_are_cobras(textbook: Network, cobras_growth: dict[str, float]) -> None:
    lethal = {gene for gene, value in cobras_growth.items() if value < 0.01 * GROWTH}
    assert set(essential(textbook, GLUCOSE)) == lethal


def test_growth_without_a_reaction_is_cobras(textbook: Network, source: cobra.Model) -> None:
    names = ["PFK", "PGI", "CYTBD", "ENO", "FUM", "EX_o2_e", "Biomass_Ecoli_core"]
    table = single_reaction_deletion(source, [source.reactions.get_by_id(name) for name in names], processes=1)
    expected = {
        next(iter(ids)): float(np.nan_to_num(value)) for ids, value in zip(table.ids, table.growth, strict=True)
    }
    assert dict(single_deletions(textbook, GLUCOSE, names)) == pytest.approx(expected, abs=1.0e-6)


@pytest.mark.parametrize("gene", ["b1779", "b2779", "b3956", "b0115"])
def test_growth_of_the_knock_out_is_that_of_the_deletion(
    textbook: Network, growth: dict[str, float], gene: str
) -> None:
    assert pfba(knock_out(textbook, gene), GLUCOSE).growth == pytest.approx(growth[gene], abs=1.0e-9)


def test_genes_with_the_same_reactions_share_a_solve(textbook: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[tuple[str, ...]] = []
    solve = FluxProgram.solve

    def counted(program: FluxProgram, *given: object, **options: tuple[str, ...]) -> object:
        closed.append(options.get("closed", ()))
        return solve(program, *given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(FluxProgram, "solve", counted)
    single_deletions(textbook, GLUCOSE)
    assert len(closed) == len(set(closed)) < len(textbook.genes) / 2


def test_more_genes_are_essential_without_oxygen(textbook: Network) -> None:
    air, none = essential(textbook, GLUCOSE), essential(textbook, {**GLUCOSE, "EX_o2_e": 0.0})
    assert set(air) < set(none)


def test_every_gene_that_slows_growth_is_essential_at_threshold_one(
    textbook: Network, growth: dict[str, float]
) -> None:
    slower = {gene for gene, value in growth.items() if value < growth["b1723"]}
    assert set(essential(textbook, GLUCOSE, threshold=1.0)) == slower


@pytest.mark.genome
def test_essential_genes_of_ijo1366_are_as_many_as_published(ijo1366: Network) -> None:
    # 208 by cobra's find_essential_genes as well, on glucose 10 mmol/gDW/h in air
    assert len(essential(ijo1366, GLUCOSE)) == 208


def test_isoenzyme_alone_loses_nothing(textbook: Network) -> None:
    assert reactions_lost(textbook, "b1723") == ()


def test_both_isoenzymes_lose_the_reaction(textbook: Network) -> None:
    assert reactions_lost(textbook, "b1723", "b3916") == ("PFK",)


def test_subunit_loses_every_reaction_of_its_complex(textbook: Network) -> None:
    assert reactions_lost(textbook, "b0116") == ("AKGDH", "PDH")


def test_genes_and_reactions_are_lost_together(textbook: Network) -> None:
    assert reactions_lost(textbook, "PGI", "b0116", "PDH") == ("AKGDH", "PDH", "PGI")


def test_losses_are_cobras(textbook: Network, source: cobra.Model) -> None:
    lost = {}
    for gene in source.genes:
        with source:
            gene.knock_out()
            lost[gene.id] = {reaction.id for reaction in gene.reactions if not reaction.functional}
    assert {gene: set(reactions_lost(textbook, gene)) for gene in textbook.genes} == lost


def test_name_that_is_gene_and_reaction_is_the_gene(textbook: Network) -> None:
    network = replace(textbook, genes=("PGI", "x"), rules={"PGI": "PGI or x", "PFK": "PGI"})
    assert reactions_lost(network, "PGI") == ("PFK",)


def test_knock_out_closes_both_directions(textbook: Network) -> None:
    without = knock_out(textbook, "PGI")
    assert (without.lower[without.column("PGI")], without.upper[without.column("PGI")]) == (0.0, 0.0)


def test_knock_out_of_what_must_run_lets_it_rest(textbook: Network) -> None:
    assert knock_out(textbook, "ATPM").maintenance_demand == 0.0


def test_knock_out_of_nothing_is_the_network(textbook: Network) -> None:
    assert knock_out(textbook).hash == textbook.hash


def test_knock_out_leaves_the_network_as_it_was(textbook: Network) -> None:
    before = textbook.lower.copy(), textbook.upper.copy()
    knock_out(textbook, "b1779")
    assert (textbook.lower.tolist(), textbook.upper.tolist()) == (before[0].tolist(), before[1].tolist())


@pytest.mark.parametrize(
    "ask", [knock_out, reactions_lost, lambda network, name: single_deletions(network, {}, [name])]
)
def test_unknown_name_names_the_nearest(textbook: Network, ask: Callable[..., object]) -> None:
    with pytest.raises(NetworkError, match="e_coli_core has no gene or reaction 'b17799'; nearest known: b1779"):
        ask(textbook, "b17799")


@pytest.mark.parametrize("rule", ["b1 and (", "not b1", "b1 xor b2", "not " * 3000 + "b1", "b1 + b2"])
def test_rule_that_cannot_be_read_names_its_reaction(textbook: Network, rule: str) -> None:
    network = replace(textbook, genes=("b1",), rules={"PFK": rule})
    with pytest.raises(NetworkError, match="the gene rule of reaction 'PFK' cannot be read"):
        reactions_lost(network, "b1")


@pytest.mark.parametrize("rule", ["b1 AND b2", "b1 and b2", "(b1) & (b2)", "b2 and (b1 or b1)"])
def test_rule_is_read_however_it_is_written(textbook: Network, rule: str) -> None:
    assert reactions_lost(replace(textbook, genes=("b1",), rules={"PFK": rule}), "b1") == ("PFK",)


@pytest.mark.parametrize("gene", ["HGNC:5", "At1g-2", "123.4", "and_1", "b(1)"[:1], "class"])
def test_gene_may_be_called_anything_that_a_rule_can_hold(textbook: Network, gene: str) -> None:
    assert reactions_lost(replace(textbook, genes=(gene,), rules={"PFK": f"{gene} and x"}), gene) == ("PFK",)


def test_network_without_genes_says_so(textbook: Network) -> None:
    with pytest.raises(NetworkError, match="e_coli_core has no genes, since its source gives none; name reactions"):
        single_deletions(replace(textbook, genes=()), GLUCOSE)


def test_starving_cell_has_no_essential_genes(textbook: Network) -> None:
    with pytest.raises(NetworkError, match="does not grow at uptake limits EX_glc__D_e 0, so no gene is essential"):
        essential(textbook, {"EX_glc__D_e": 0.0})


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1, np.nan])
def test_threshold_that_is_no_fraction_of_growth_is_refused(textbook: Network, threshold: float) -> None:
    with pytest.raises(DomainError, match="threshold is"):
        essential(textbook, GLUCOSE, threshold)


def test_deletion_that_leaves_no_fluxes_is_not_a_number(textbook: Network) -> None:
    forced = set_bounds(textbook, {"EX_ac_e": (1.0, 1000.0)})
    assert np.isnan(single_deletions(forced, GLUCOSE, ["ACt2r"])["ACt2r"])


def test_medium_of_the_network_is_the_network(textbook: Network) -> None:
    own = {name: -float(textbook.lower[textbook.column(name)]) for name in textbook.exchanges}
    assert set_medium(textbook, {name: limit for name, limit in own.items() if limit > 0.0}).hash == textbook.hash


def test_medium_closes_what_it_does_not_name(textbook: Network) -> None:
    lower = set_medium(textbook, {"EX_ac_e": 3.0}).lower
    assert {name: lower[textbook.column(name)] for name in textbook.exchanges if lower[textbook.column(name)]} == {
        "EX_ac_e": -3.0
    }


def test_medium_leaves_secretion_open(textbook: Network) -> None:
    assert set_medium(textbook, {}).upper.tolist() == textbook.upper.tolist()


def test_medium_grows_as_uptake_limits_do(textbook: Network) -> None:
    own = {name: -float(textbook.lower[textbook.column(name)]) for name in textbook.exchanges}
    fructose = {**{name: limit for name, limit in own.items() if limit > 10.0}, "EX_fru_e": 8.0}
    expected = pfba(textbook, {"EX_glc__D_e": 0.0, "EX_fru_e": 8.0}).growth
    assert pfba(set_medium(textbook, fructose), {}).growth == pytest.approx(expected, abs=1.0e-9)


@pytest.mark.parametrize("limit", [1000.0, 5000.0, np.inf])
def test_thousand_in_a_medium_is_no_limit(textbook: Network, limit: float) -> None:
    assert set_medium(textbook, {"EX_o2_e": limit}).lower[textbook.column("EX_o2_e")] == -np.inf


def test_medium_closes_forced_uptake(textbook: Network) -> None:
    forced = set_medium(set_bounds(textbook, {"EX_o2_e": (-5.0, -2.0)}), {})
    assert (forced.lower[forced.column("EX_o2_e")], forced.upper[forced.column("EX_o2_e")]) == (0.0, 0.0)


def test_medium_that_gives_less_than_must_be_taken_is_refused(textbook: Network) -> None:
    forced = set_bounds(textbook, {"EX_o2_e": (-5.0, -2.0)})
    with pytest.raises(NetworkError, match="reaction 'EX_o2_e' has lower bound -1 above upper bound -2"):
        set_medium(forced, {"EX_o2_e": 1.0})


@pytest.mark.parametrize("limit", [-1.0, np.nan])
def test_uptake_below_zero_is_refused(textbook: Network, limit: float) -> None:
    with pytest.raises(DomainError, match="uptake limit of EX_o2_e is"):
        set_medium(textbook, {"EX_o2_e": limit})


@pytest.mark.parametrize("name", ["EX_glc_e", "PFK"])
def test_medium_takes_exchanges_alone(textbook: Network, name: str) -> None:
    with pytest.raises(NetworkError, match=f"no exchange '{name}'"):
        set_medium(textbook, {name: 1.0})


def test_bounds_are_set(textbook: Network) -> None:
    network = set_bounds(textbook, {"PFK": (-1.0, 2.0), "PGI": (0.0, 1000.0)})
    assert [network.lower[network.column(name)] for name in ("PFK", "PGI")] == [-1.0, 0.0]
    assert [network.upper[network.column(name)] for name in ("PFK", "PGI")] == [2.0, np.inf]


def test_zero_with_a_sign_is_zero(textbook: Network) -> None:
    zeros = [set_bounds(textbook, {"PFK": (zero, zero)}).hash for zero in (0.0, -0.0)]
    assert zeros[0] == zeros[1]


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (np.nan, 1.0, "reaction 'PFK' has a bound that is not a number; correct it"),
        (2.0, 1.0, "reaction 'PFK' has lower bound 2 above upper bound 1; correct them"),
        (np.inf, np.inf, "which no flux keeps"),
    ],
)
def test_bounds_no_flux_keeps_are_refused(textbook: Network, low: float, high: float, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        set_bounds(textbook, {"PFK": (low, high)})


@pytest.mark.parametrize("change", [lambda n: set_bounds(n, {"PFKK": (0.0, 1.0)}), lambda n: set_objective(n, "PFKK")])
def test_unknown_reaction_names_the_nearest(textbook: Network, change: Callable[[Network], Network]) -> None:
    with pytest.raises(NetworkError, match="has no reaction 'PFKK'; nearest known: PFK"):
        change(textbook)


@pytest.mark.parametrize("aim", ["EX_succ_e", "EX_ac_e", "ATPM", "ATPS4r", "PFK"])
def test_aim_is_cobras(textbook: Network, source: cobra.Model, aim: str) -> None:
    with source:
        source.objective = aim
        expected = source.slim_optimize()
    assert pfba(set_objective(textbook, aim), GLUCOSE).growth == pytest.approx(expected, abs=1.0e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda network: knock_out(network, "b1779"),
        lambda network: set_medium(network, GLUCOSE),
        lambda network: set_bounds(network, {"PFK": (0.0, 1.0)}),
        lambda network: set_objective(network, "ATPM"),
    ],
    ids=["knock-out", "medium", "bounds", "objective"],
)
def test_variant_has_a_hash_of_its_own(textbook: Network, change: Callable[[Network], Network]) -> None:
    variant = change(textbook)
    assert variant.hash != textbook.hash
    assert (variant.genes, variant.rules) == (textbook.genes, textbook.rules)
