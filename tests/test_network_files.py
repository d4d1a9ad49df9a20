"""Files as people write them: a network is read as the file means it, with cobra's growth, or refused by name."""

import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import cobra
import numpy as np
import pytest
import scipy.io
from cobra.io import load_json_model, load_matlab_model, read_sbml_model

from mmopt.errors import InfeasibleError, NetworkError
from mmopt.fba import FluxProgram, pfba
from mmopt.network import Network, knock_out, minimal_medium, reactions_lost, read_network, set_bounds, set_medium
from mmopt.network.formats import quiet
from tests.toy_networks import cell, edited, saved

GROWTH = 19.0 / 6.0
"""Growth of the cell on 10 mmol/gDW/h of glucose: ATP 2 (10 - mu) = 1 + 4 mu."""


def growth(source: object, uptake: dict[str, float] | None = None) -> float:
    network = source if isinstance(source, Network) else read_network(source)  # type: ignore[arg-type]
    return pfba(network, uptake or {}).growth


def refusal(source: object) -> str:
    with pytest.raises(NetworkError) as caught:
        read_network(source)  # type: ignore[arg-type]
    return str(caught.value)


def flagged(path: Path, *species: str) -> Path:
    """The SBML file with species whose boundaryCondition is true."""
    text = path.read_text()
    for name in species:
        text, count = re.subn(rf'(id="M_{name}".*?boundaryCondition=)"false"', r'\1"true"', text)
        assert count == 1
    path.write_text(text)
    return path


# growth is cobra's, in every format and for every packaged network


@pytest.mark.parametrize("suffix", [".xml", ".json", ".mat"])
@pytest.mark.parametrize(
    "network",
    [
        cell(),
        cell({"EX_ac_e": (0.0, 5.0)}),
        cell({"EX_glc__D_e": (-2000.0, 1000.0), "ATPM": (0.0, 1000.0)}),
        cell({"GLYC": (0.0, 999.0), "EX_glc__D_e": (-998.0, 0.0)}),
        cell(more={"EX_glc_in": ({"glc__D_e": 1.0}, (0.0, 3.0))}),
        cell({"EX_glc__D_e": (0.0, 0.0)}, {"EX_glc_two": ({"glc__D_e": 2.0}, (0.0, 3.0))}),
    ],
    ids=["plain", "capped", "uptake of 2000", "bounds below 1000", "two uptakes", "coefficient of two"],
)
def test_growth_of_a_file_is_that_of_cobra(tmp_path: Path, network: cobra.Model, suffix: str) -> None:
    assert growth(saved(network, tmp_path / f"toy{suffix}")) == pytest.approx(network.slim_optimize(), rel=1e-7)


@pytest.mark.parametrize(
    ("name", "load"),
    [("mini.json", load_json_model), ("mini_cobra.xml", read_sbml_model), ("mini.mat", load_matlab_model)],
)
def test_growth_of_a_small_packaged_network_is_that_of_cobra(name: str, load: Callable[[str], cobra.Model]) -> None:
    path = Path(str(files("cobra.data") / name))
    with quiet():
        source = load(str(path))
    source.reactions.ATPM.lower_bound = 0.0
    source.objective = "PFK"
    network = set_bounds(read_network(path, biomass="PFK"), {"ATPM": (0.0, 1000.0)})
    assert growth(network) == pytest.approx(source.slim_optimize(), abs=1e-9)


def test_small_packaged_network_with_two_objectives_is_refused() -> None:
    assert "several objectives: 1 ATPM, 1 PFK; name one" in refusal(Path(str(files("cobra.data") / "mini.json")))


def test_growth_of_the_textbook_network_is_that_of_cobra() -> None:
    source = read_sbml_model(str(files("cobra.data") / "textbook.xml.gz"))
    assert growth(read_network("textbook")) == pytest.approx(source.slim_optimize(), rel=1e-7)


# species of the border


def test_boundary_species_keep_the_exchanges_of_the_file(tmp_path: Path) -> None:
    path = flagged(saved(cell({"EX_ac_e": (0.0, 5.0)}), tmp_path / "toy.xml"), "ac_e", "glc__D_e")
    assert growth(path) == pytest.approx(1.0)


def test_boundary_species_keep_an_exchange_of_another_name(tmp_path: Path) -> None:
    network = cell(more={"r_7": ({"glc__D_e": 1.0}, (0.0, 4.0))}, without=("EX_glc__D_e",))
    path = flagged(saved(network, tmp_path / "toy.xml"), "glc__D_e")
    assert growth(path) == pytest.approx(network.slim_optimize())


BEYOND = {
    "EX_glc__D_e": ({"glc__D_e": -1.0, "glc__D_b": 1.0}, (-10.0, 1000.0)),
    "EX_ac_e": ({"ac_e": -1.0, "ac_b": 1.0}, (0.0, 1000.0)),
}


def test_boundary_species_beyond_the_border_are_not_balanced(tmp_path: Path) -> None:
    path = flagged(saved(cell(more=BEYOND), tmp_path / "toy.xml"), "glc__D_b", "ac_b")
    assert growth(path, {"EX_glc__D_e": 4.0}) == pytest.approx(7.0 / 6.0)


@pytest.mark.parametrize("suffix", [".xml", ".json", ".mat"])
def test_species_that_end_in_b_are_not_balanced_without_a_flag(tmp_path: Path, suffix: str) -> None:
    network = read_network(saved(cell(more=BEYOND), tmp_path / f"toy{suffix}"))
    assert "glc__D_b, ac_b lie beyond the border" in network.notes[0]
    assert growth(network) == pytest.approx(GROWTH)


def test_species_that_end_in_b_are_balanced_where_an_exchange_moves_them(tmp_path: Path) -> None:
    source = cell(
        more=BEYOND | {"EX_glc__D_b": ({"glc__D_b": -1.0}, (-3.0, 0.0)), "EX_ac_b": ({"ac_b": -1.0}, (0.0, 1000.0))}
    )
    network = read_network(saved(source, tmp_path / "toy.json"))
    assert growth(network) == pytest.approx(source.slim_optimize())
    assert "glc__D_b" in network.metabolites


def test_boundary_species_without_an_exchange_in_the_file_get_one(tmp_path: Path) -> None:
    path = flagged(saved(cell({"GLCt": (0.0, 10.0)}, without=("EX_glc__D_e",)), tmp_path / "toy.xml"), "glc__D_e")
    assert growth(path, {"EX_glc__D_e": 4.0}) == pytest.approx(7.0 / 6.0)


def test_boundary_species_whose_exchange_moves_others_are_refused(tmp_path: Path) -> None:
    moving = {"EX_ac_e": ({"ac_e": -1.0, "atp_c": -1.0, "glc__D_c": 1.0}, (0.0, 10.0))}
    path = flagged(saved(cell(more=moving), tmp_path / "toy.xml"), "ac_e")
    assert "species 'M_ac_e' is a boundary species, and its reaction R_EX_ac_e moves other species" in refusal(path)


# exchanges in two halves, or with coefficients


def split() -> Network:
    return read_network(cell({"EX_glc__D_e": (0.0, 1000.0)}, {"EX_glc__D_e_REV": ({"glc__D_e": 1.0}, (0.0, 10.0))}))


@pytest.mark.parametrize("name", ["EX_glc__D_e", "EX_glc__D_e_REV"])
def test_limit_of_either_half_of_an_exchange_limits_the_uptake(name: str) -> None:
    fluxes = pfba(split(), {name: 2.0})
    assert (fluxes.growth, fluxes.uptake(name)) == (pytest.approx(0.5), pytest.approx(2.0))


def test_halves_of_an_exchange_are_one_exchange() -> None:
    assert (split().exchanges, dict(split().merged)) == (
        ("EX_glc__D_e", "EX_ac_e"),
        {"EX_glc__D_e_REV": "EX_glc__D_e"},
    )


def test_medium_by_the_uptake_half_opens_the_exchange() -> None:
    assert growth(set_medium(split(), {"EX_glc__D_e_REV": 4.0})) == pytest.approx(7.0 / 6.0)


def test_both_halves_of_an_exchange_are_one_input() -> None:
    with pytest.raises(NetworkError, match="given twice"):
        FluxProgram(split(), ["EX_glc__D_e", "EX_glc__D_e_REV"])


def test_ways_in_of_one_metabolite_add_up() -> None:
    ways = {f"in_{limit:g}": ({"glc__D_e": 1.0}, (0.0, limit)) for limit in (1.0, 3.0)}
    network = read_network(cell(more=ways, without=("EX_glc__D_e",)))
    assert (network.exchanges, growth(network)) == (("EX_ac_e", "in_1"), pytest.approx(7.0 / 6.0))


@pytest.mark.parametrize("coefficient", [-2.0, 2.0, -0.25, 10.0])
def test_uptake_limit_counts_the_metabolite_whatever_the_coefficient(coefficient: float) -> None:
    bounds = (-1000.0, 0.0) if coefficient < 0.0 else (0.0, 1000.0)
    network = read_network(cell(more={"EX_glc__D_e": ({"glc__D_e": coefficient}, bounds)}))
    fluxes = pfba(network, {"EX_glc__D_e": 4.0})
    assert (fluxes.growth, fluxes.uptake("EX_glc__D_e")) == (pytest.approx(7.0 / 6.0), pytest.approx(4.0))


@pytest.mark.parametrize("coefficient", [-2.0, 2.0, -0.25])
def test_bounds_of_the_file_count_its_own_flux(coefficient: float) -> None:
    bounds = (-3.0, 0.0) if coefficient < 0.0 else (0.0, 3.0)
    source = cell({"ATPM": (0.0, 1000.0)}, {"EX_glc__D_e": ({"glc__D_e": coefficient}, bounds)})
    assert growth(source) == pytest.approx(source.slim_optimize())


# rows beside S v = 0


def with_fields(path: Path, **fields: object) -> Path:
    """A MATLAB file of the cell with further fields."""
    content = scipy.io.loadmat(saved(cell(), path))
    structure = next(one for name, one in content.items() if not name.startswith("__"))[0, 0]
    scipy.io.savemat(path, {"toy": {name: structure[name] for name in structure.dtype.names} | fields})
    return path


def of_toy(size: int, index: int, value: float) -> np.ndarray:
    vector = np.zeros((size, 1))
    vector[index] = value
    return vector


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"C": of_toy(7, 6, 1.0).T, "d": [[1.0]], "dsense": "L", "ctrs": np.array([["cap"]], dtype=object)},
            "row 'cap'",
        ),
        ({"C": of_toy(7, 6, 1.0).T, "d": [[1.0]]}, "row '1 of field C'"),
        ({"b": of_toy(5, 4, 3.0)}, "metabolite 'atp_c' gather"),
        ({"b": of_toy(5, 1, -1.0)}, "metabolite 'ac_e' gather"),
        ({"csense": "EGEEE"}, "metabolite 'ac_e' gather"),
        ({"csense": np.array(["E", "E", "E", "E", "L"])}, "metabolite 'atp_c' gather"),
    ],
    ids=["C with a name", "C", "b of atp", "b of acetate", "csense as text", "csense as letters"],
)
def test_rows_of_a_matlab_file_are_refused_by_name(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    assert message in refusal(with_fields(tmp_path / "toy.mat", **fields))


@pytest.mark.parametrize(
    "fields",
    [{"C": np.zeros((1, 7)), "d": [[1.0]]}, {"C": np.zeros((0, 7))}, {"b": np.zeros((5, 1))}, {"csense": "EEEEE"}],
    ids=["C of zeros", "C without rows", "b of zeros", "csense"],
)
def test_rows_that_limit_nothing_are_read(tmp_path: Path, fields: dict[str, object]) -> None:
    assert growth(with_fields(tmp_path / "toy.mat", **fields)) == pytest.approx(GROWTH)


def test_metabolite_that_gathers_in_json_is_refused(tmp_path: Path) -> None:
    network = cell()
    network.metabolites.atp_c._bound = 2.0
    assert "metabolite 'atp_c' gather" in refusal(saved(network, tmp_path / "toy.json"))
    assert "metabolite 'atp_c' may gather (2)" in refusal(network)


CONSTRAINTS = """<fbc:listOfUserDefinedConstraints><fbc:userDefinedConstraint fbc:id="{}" fbc:lowerBound="cobra_0_bound"
  fbc:upperBound="cobra_default_ub"><fbc:listOfUserDefinedConstraintComponents><fbc:userDefinedConstraintComponent
  fbc:coefficient="cobra_default_ub" fbc:variable="R_GLYC" fbc:variableType="linear"/>
  </fbc:listOfUserDefinedConstraintComponents></fbc:userDefinedConstraint></fbc:listOfUserDefinedConstraints></model>"""


@pytest.mark.parametrize("name", ["ratio", "uc1"])
def test_constraints_of_fbc_version_3_are_refused_by_name(tmp_path: Path, name: str) -> None:
    path = edited(
        saved(cell(), tmp_path / "toy.xml"), ("fbc/version2", "fbc/version3"), ("</model>", CONSTRAINTS.format(name))
    )
    assert f"has the constraint '{name}' beside S v = 0" in refusal(path)


def test_bound_that_a_rule_computes_is_refused(tmp_path: Path) -> None:
    rule = """<listOfInitialAssignments><initialAssignment symbol="R_EX_glc__D_e_lower_bound">
      <math xmlns="http://www.w3.org/1998/Math/MathML"><cn>-5</cn></math></initialAssignment></listOfInitialAssignments>
      <listOfReactions>"""
    path = edited(saved(cell(), tmp_path / "toy.xml"), ("<listOfReactions>", rule))
    assert "computes 'R_EX_glc__D_e_lower_bound' of reaction 'R_EX_glc__D_e' by a rule" in refusal(path)


def test_quadratic_objective_is_refused(tmp_path: Path) -> None:
    quadratic = 'fbc:variableType="quadratic" fbc:reaction="R_BIOMASS"'
    path = edited(saved(cell(), tmp_path / "toy.xml"), ('fbc:reaction="R_BIOMASS"', quadratic))
    assert "quadratic in 'R_BIOMASS'" in refusal(path)


def test_constraint_of_an_object_is_refused_by_name() -> None:
    network = cell()
    ratio = network.problem.Constraint(
        network.reactions.GLYC.flux_expression - network.reactions.GLCt.flux_expression, ub=-1.0, name="ratio"
    )
    network.add_cons_vars(ratio)
    assert "constraint 'ratio' beside S v = 0" in refusal(network)


def test_row_of_an_object_that_is_not_zero_is_refused() -> None:
    network = cell()
    network.constraints.ac_e.ub = 5.0
    assert "row of metabolite 'ac_e' is not S v = 0" in refusal(network)


def test_further_variable_in_a_row_of_an_object_is_refused() -> None:
    network = cell()
    extra = network.problem.Variable("extra", lb=0.0, ub=1.0)
    network.add_cons_vars(extra)
    network.constraints.atp_c.set_linear_coefficients({extra: 1.0})
    assert "row of metabolite 'atp_c' is not S v = 0" in refusal(network)


def test_constraint_of_an_object_that_limits_nothing_is_read() -> None:
    network = cell()
    free = network.problem.Constraint(network.reactions.GLYC.flux_expression, name="free")
    network.add_cons_vars(free)
    assert growth(network) == pytest.approx(GROWTH)


# gene rules


def with_rule(path: Path, rule: str) -> Path:
    network = cell()
    network.reactions.GLYC.gene_reaction_rule = "rule_of_glyc"
    return edited(saved(network, path), ('"gene_reaction_rule":"rule_of_glyc"', f'"gene_reaction_rule":"{rule}"'))


@pytest.mark.parametrize("rule", ["g1 aNd g2", "g1 & g2", "(g1)&&(g2)", "g2 AND (g1 Or g1)"])
def test_rule_is_read_in_any_spelling(tmp_path: Path, rule: str) -> None:
    assert reactions_lost(read_network(with_rule(tmp_path / "toy.json", rule)), "g1") == ("GLYC",)


@pytest.mark.parametrize("rule", ["g1; g2", "g1 and", "or g1", "g1)", "g1 + g2", "g1 g2", "not g1", "g1,g2", "3*g1"])
def test_rule_that_cannot_be_read_is_an_error_of_the_knock_out_alone(tmp_path: Path, rule: str) -> None:
    network = read_network(with_rule(tmp_path / "toy.json", rule))
    assert growth(network) == pytest.approx(GROWTH)
    with pytest.raises(NetworkError, match="the gene rule of reaction 'GLYC' cannot be read"):
        knock_out(network, "g1")


def rule_fields(reactions: int, glyc: str) -> np.ndarray:
    rules = np.array([[""]] * reactions, dtype=object)
    rules[3, 0] = glyc
    return rules


@pytest.mark.parametrize(
    ("fields", "gene", "lost"),
    [
        ({"rules": rule_fields(7, "(x(1) & x(2))")}, "g2", ("GLYC",)),
        ({"rules": rule_fields(7, "x(1) | x(2)")}, "g2", ()),
        ({"rules": rule_fields(7, "x(3)")}, "g3", ("GLYC",)),
        ({"rxnGeneMat": np.eye(7, 3, -3)}, "g1", ("GLYC",)),
    ],
    ids=["and", "or", "one", "matrix of one gene"],
)
def test_rules_of_a_matlab_file_are_read_without_texts(
    tmp_path: Path, fields: dict[str, object], gene: str, lost: tuple[str, ...]
) -> None:
    genes = np.array([["g1"], ["g2"], ["g3"]], dtype=object)
    path = with_fields(tmp_path / "toy.mat", genes=genes, grRules=rule_fields(7, ""), **fields)
    assert reactions_lost(read_network(path), gene) == lost


def test_matlab_file_with_the_genes_of_reactions_alone_refuses_a_knock_out(tmp_path: Path) -> None:
    used = np.zeros((7, 2))
    used[3] = 1.0
    genes = np.array([["g1"], ["g2"]], dtype=object)
    network = read_network(with_fields(tmp_path / "toy.mat", genes=genes, grRules=rule_fields(7, ""), rxnGeneMat=used))
    with pytest.raises(NetworkError, match="the gene rule of reaction 'GLYC' cannot be read: 'g1, g2'"):
        knock_out(network, "g2")


@pytest.mark.parametrize("rule", ["g1 or", "g1, g2", "(g1 and g2"])
def test_rule_in_notes_that_cannot_be_read_is_an_error_of_the_knock_out(tmp_path: Path, rule: str) -> None:
    notes = f'<notes><p xmlns="http://www.w3.org/1999/xhtml">GENE_ASSOCIATION: {rule}</p></notes>'
    path = tmp_path / "toy.xml"
    text = saved(cell(), path).read_text()
    path.write_text(re.sub(r'(<reaction id="R_GLYC"[^>]*>)', rf"\1{notes}", text))
    network = read_network(path)
    assert growth(network) == pytest.approx(GROWTH)
    with pytest.raises(NetworkError, match="the gene rule of reaction 'GLYC' cannot be read"):
        knock_out(network, "g1")


# sinks


@pytest.mark.parametrize("name", ["r_9", "SINK_cof_c", "Demand_cof_c", "cof_supply", "SN_cof_c"])
def test_source_of_the_inside_stays_open_in_a_medium(name: str) -> None:
    using = {"GLYC": ({"glc__D_c": -1.0, "cof_c": -0.1, "ac_c": 2.0, "atp_c": 2.0}, (0.0, 1000.0))}
    network = read_network(cell(more=using | {name: ({"cof_c": -1.0}, (-1000.0, 1000.0))}))
    assert name not in network.exchanges
    assert growth(set_medium(network, {"EX_glc__D_e": 10.0})) == pytest.approx(GROWTH)


@pytest.mark.parametrize("name", ["r_9", "EX_cof_e", "vitamin"])
def test_source_of_the_outside_is_an_exchange_under_any_name(name: str) -> None:
    using = {"COFt": ({"cof_e": -1.0, "cof_c": 1.0}, (0.0, 1000.0)), "COFu": ({"cof_c": -1.0}, (0.0, 1.0))}
    network = read_network(cell(more=using | {name: ({"cof_e": -1.0}, (-1000.0, 1000.0))}))
    assert name in network.exchanges
    assert "COFu" not in network.exchanges


# forced fluxes


@pytest.mark.parametrize(
    ("reaction", "forced"),
    [("EX_ac_e", (2.0, 1000.0)), ("GLYC", (1.0, 1000.0)), ("ACt", (0.5, 1000.0))],
)
def test_forced_flux_is_no_maintenance(reaction: str, forced: tuple[float, float]) -> None:
    network = read_network(cell({reaction: forced}, without=("ATPM",)))
    assert network.maintenance is None
    assert f"{reaction} must run, and not as maintenance" in str(network)
    assert growth(network) == pytest.approx(10.0 / 3.0)


def test_infeasible_forced_flux_names_its_reaction() -> None:
    with pytest.raises(InfeasibleError, match="EX_ac_e must run"):
        growth(cell({"EX_ac_e": (2.0, 1000.0)}, without=("ATPM",)), {"EX_glc__D_e": 0.5})


@pytest.mark.parametrize("more", [{}, {"NGAM_2": ({"atp_c": -1.0}, (0.0, 1000.0))}])
def test_network_that_must_grow_is_refused(more: dict[str, tuple[dict[str, float], tuple[float, float]]]) -> None:
    message = refusal(cell({"BIOMASS": (0.2, 1000.0)}, more, without=("ATPM",)))
    assert "biomass reaction 'BIOMASS' has a positive lower bound (0.2)" in message


HYDROLYSIS = {"atp_c": -1.0, "h2o_c": -1.0, "adp_c": 1.0, "pi_c": 1.0, "h_c": 1.0}


@pytest.mark.parametrize(
    ("name", "moved"), [("r_77", HYDROLYSIS), ("upkeep", {"atp_c": -1.0}), ("R_NGAM_c", {"atp_c": -1.0, "x_c": 1.0})]
)
def test_forced_hydrolysis_of_atp_is_maintenance_under_any_name(name: str, moved: dict[str, float]) -> None:
    network = read_network(cell(more={name: (moved, (1.0, 1000.0))}, without=("ATPM",)))
    assert (network.maintenance, network.maintenance_demand) == (name, 1.0)


def test_forced_maintenance_comes_before_one_that_is_not() -> None:
    network = read_network(cell({"ATPM": (0.0, 1000.0)}, {"NGAM_2": ({"atp_c": -1.0}, (1.0, 1000.0))}))
    starving = pfba(network, {"EX_glc__D_e": 0.2})
    assert (network.maintenance, starving.growth, starving.shortfall) == ("NGAM_2", 0.0, pytest.approx(0.6))


# objectives on exchanges


@pytest.mark.parametrize("coefficient", [1.0, -1.0])
@pytest.mark.parametrize("direction", ["max", "min"])
def test_objective_on_an_exchange_is_that_of_cobra_or_refused(coefficient: float, direction: str) -> None:
    source = cell({"ATPM": (1.0, 3.0)}, {"EX_ac_e": ({"ac_e": coefficient}, (-5.0, 5.0))})
    source.objective, source.objective_direction = "EX_ac_e", direction
    if (coefficient, direction) == (-1.0, "min"):  # least secretion is no growth
        assert "the objective -1 EX_ac_e" in refusal(source)
        return
    sign = 1.0 if direction == "max" else -1.0
    assert growth(source) == pytest.approx(sign * source.slim_optimize())


@pytest.mark.parametrize("coefficient", [1.0, 2.0, -2.0])
def test_objective_with_a_coefficient_keeps_its_own_flux(coefficient: float) -> None:
    bounds = (-1000.0, 0.0) if coefficient > 0.0 else (0.0, 1000.0)
    source = cell(more={"EX_ac_e": ({"ac_e": coefficient}, bounds)})
    source.objective = "EX_ac_e"
    source.reactions.EX_ac_e.bounds = (-1000.0, 1000.0)
    source.reactions.ACt.bounds = (-7.0, 1000.0)
    assert growth(source) == pytest.approx(source.slim_optimize())


def test_exchange_given_as_growth_is_maximised_as_secretion() -> None:
    source = cell(more={"EX_ac_e": ({"ac_e": 1.0}, (-1000.0, 1000.0))})
    assert growth(read_network(source, biomass="EX_ac_e")) == pytest.approx(20.0)


# bounds that are missing, and bounds of 1000 and more


@pytest.mark.parametrize(("reaction", "low"), [("GLYC", 0.0), ("ACt", -np.inf)])
def test_missing_bounds_follow_the_direction_of_the_reaction(tmp_path: Path, reaction: str, low: float) -> None:
    path = saved(cell(), tmp_path / "toy.xml")
    text = path.read_text().replace('fbc:strict="true"', 'fbc:strict="false"')
    path.write_text(re.sub(rf'(<reaction id="R_{reaction}"[^>]*?) fbc:lowerFluxBound.*?>', r"\1>", text))
    network = read_network(path)
    column = network.column(reaction)
    assert (network.lower[column], network.upper[column]) == (low, np.inf)


@pytest.mark.parametrize("none", [1000.0, 99999.0, 1.0e6, np.inf])
def test_uptake_of_a_thousand_is_a_limit_where_growth_depends_on_it(none: float) -> None:
    changed = dict.fromkeys(("GLCt", "GLYC", "EX_ac_e", "ATPM", "BIOMASS"), (0.0, none))
    source = cell(changed | {"EX_glc__D_e": (-1500.0, none), "ACt": (-none, none)})
    assert growth(source) == pytest.approx(source.slim_optimize())


@pytest.mark.parametrize(("reaction", "most"), [("GLYC", 1000.0), ("GLCt", 3000.0), ("EX_ac_e", 1200.0)])
def test_bound_of_a_thousand_within_is_a_limit_where_growth_depends_on_it(reaction: str, most: float) -> None:
    source = cell({"EX_glc__D_e": (-8000.0, 0.0), reaction: (0.0, most)})
    assert growth(source) == pytest.approx(source.slim_optimize(), rel=1e-6)


@pytest.mark.parametrize("scale", [1.0e3, 1.0e6])
def test_network_in_smaller_units_grows_by_as_much_more(scale: float) -> None:
    source = cell()
    for reaction in source.reactions:
        reaction.bounds = reaction.lower_bound * scale, reaction.upper_bound * scale
    network = read_network(source)
    assert (growth(network), network.maintenance_demand) == (pytest.approx(GROWTH * scale), scale)


def test_bounds_are_set_as_numbers_where_the_network_has_such_large_ones() -> None:
    source = cell()
    for reaction in source.reactions:
        reaction.bounds = reaction.lower_bound * 1.0e3, reaction.upper_bound * 1.0e3
    network = set_bounds(read_network(source), {"EX_glc__D_e": (-4000.0, 0.0)})
    assert growth(network) == pytest.approx(7.0e3 / 6.0)


def test_demand_of_a_thousand_is_a_demand() -> None:
    network = set_bounds(read_network(cell()), {"ATPM": (1000.0, 1000.0)})
    assert network.maintenance_demand == 1000.0


# media


def draft(nutrients: int) -> cobra.Model:
    """The cell beside ways in of so many nutrients, all open, every one of which feeds it."""
    more = {}
    for number in range(nutrients):
        outer, inner = f"n{number}_e", f"n{number}_c"
        more[f"EX_{outer}"] = ({outer: -1.0}, (-1000.0, 1000.0))
        more[f"N{number}t"] = ({outer: -1.0, inner: 1.0}, (0.0, 1000.0))
        more[f"N{number}"] = ({inner: -1.0, "glc__D_c": 1.0}, (0.0, 1000.0))
    return cell({"EX_glc__D_e": (-1000.0, 1000.0)}, more)


@pytest.mark.parametrize("nutrients", [45, 200])
def test_draft_with_open_exchanges_is_refused_with_a_medium(nutrients: int) -> None:
    with pytest.raises(
        NetworkError, match=rf"{nutrients + 1} exchanges are open .* set_medium\(network, \{{"
    ) as caught:
        growth(draft(nutrients))
    offered = re.search(r"set_medium\(network, (\{.*?\})\)", str(caught.value))
    assert offered
    assert "'EX_glc__D_e'" in offered[1]


def test_medium_suffices_for_the_growth_it_is_computed_for() -> None:
    network = read_network(draft(50))
    medium = minimal_medium(network, 0.8)
    assert list(medium) == ["EX_glc__D_e"]
    assert growth(set_medium(network, medium)) == pytest.approx(0.8, rel=0.03)


def test_medium_of_a_network_that_cannot_grow_so_fast_is_an_error() -> None:
    with pytest.raises(InfeasibleError, match="toy does not grow at 50 1/h"):
        minimal_medium(read_network(cell()), 50.0)


# reactions that cannot run


@pytest.mark.parametrize("share", [1.0e-8, 1.0e-10, 1.0e-11])
@pytest.mark.parametrize("suffix", [".json", ".xml"])
def test_tiny_flux_that_growth_needs_is_not_blocked(tmp_path: Path, share: float, suffix: str) -> None:
    more = {
        "EX_cof_e": ({"cof_e": -1.0}, (-1000.0, 1000.0)),
        "COFt": ({"cof_e": -1.0, "cof_c": 1.0}, (-1000.0, 1000.0)),
        "COFx": ({"cof_c": -1.0, "cox_c": 1.0}, (-1000.0, 1000.0)),
        "BIOMASS": ({"glc__D_c": -1.0, "atp_c": -4.0, "cox_c": -share}, (0.0, 1000.0)),
    }
    assert growth(saved(cell(more=more), tmp_path / f"toy{suffix}")) == pytest.approx(GROWTH)
