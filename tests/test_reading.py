"""Networks are read whole from every format, with one sign convention; what is wrong is reported by name."""

import gzip
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import cobra
import numpy as np
import pytest
from cobra.io import read_sbml_model, save_json_model, save_matlab_model

from mmopt.errors import NetworkError
from mmopt.fba import pfba
from mmopt.network import Network, read_network
from mmopt.network.formats import PACKAGED

PACKED = Path(str(files("cobra.data").joinpath("textbook.xml.gz")))
SBML = gzip.decompress(PACKED.read_bytes())
SUFFIXES = (".xml", ".xml.gz", ".sbml", ".sbml.gz", ".json", ".json.gz", ".mat")


@pytest.fixture
def source() -> cobra.Model:
    """The textbook network as cobra reads it, fresh for every test."""
    return read_sbml_model(str(PACKED))


def written(source: cobra.Model, path: Path) -> Path:
    """The network as a file of JSON or MATLAB, written by cobra."""
    if path.suffix == ".mat":
        save_matlab_model(source, str(path))
    elif path.suffix == ".gz":
        with gzip.open(path, "wt") as file:
            save_json_model(source, file)
    else:
        save_json_model(source, str(path))
    return path


def textbook_file(path: Path) -> Path:
    if ".json" in path.suffixes or path.suffix == ".mat":
        return written(read_sbml_model(str(PACKED)), path)
    path.write_bytes(PACKED.read_bytes() if path.suffix == ".gz" else SBML)
    return path


def small(exchange_of_glucose: float = 1.0) -> cobra.Model:
    """A four-step cell; 1.0 writes the glucose exchange as uptake, '--> glc_e', and -1.0 as secretion."""
    network = cobra.Model("small")
    glucose_e, acetate_e = cobra.Metabolite("glc_e", formula="C6H12O6"), cobra.Metabolite("ac_e", formula="C2H3O2")
    glucose, atp = cobra.Metabolite("glc_c"), cobra.Metabolite("atp_c")
    bounds = (0.0, 10.0) if exchange_of_glucose > 0.0 else (-10.0, 0.0)
    for name, low, high, moved in (
        ("EX_glc_e", *bounds, {glucose_e: exchange_of_glucose}),
        ("EX_ac_e", 0.0, 1000.0, {acetate_e: -1.0}),
        ("GLCt", 0.0, 1000.0, {glucose_e: -1.0, glucose: 1.0}),
        ("GLYC", 0.0, 1000.0, {glucose: -1.0, acetate_e: 2.0, atp: 2.0}),
        ("BIOMASS", 0.0, 1000.0, {glucose: -1.0, atp: -4.0}),
    ):
        reaction = cobra.Reaction(name, lower_bound=low, upper_bound=high)
        reaction.add_metabolites(moved)
        network.add_reactions([reaction])
    network.objective = "BIOMASS"
    return network


def refusal(source: object, **options: str) -> str:
    with pytest.raises(NetworkError) as caught:
        read_network(source, **options)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "reactions"),
    [
        ("textbook", 95),
        pytest.param("iJO1366", 2583, marks=pytest.mark.genome),
        pytest.param("salmonella", 3357, marks=pytest.mark.genome),
    ],
)
def test_packaged_network_is_read_by_name(name: str, reactions: int, request: pytest.FixtureRequest) -> None:
    network = request.getfixturevalue(name.lower())  # `read_network` of the name
    assert len(network.reactions) == reactions


def test_packaged_names_are_what_this_module_tests() -> None:
    assert set(PACKAGED) == {"textbook", "iJO1366", "salmonella"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_packaged_network(textbook: Network, tmp_path: Path, suffix: str) -> None:
    assert read_network(textbook_file(tmp_path / f"cell{suffix}")).hash == textbook.hash


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_genes_and_rules(textbook: Network, tmp_path: Path, suffix: str) -> None:
    network = read_network(str(textbook_file(tmp_path / f"cell{suffix}")))
    assert (network.genes, network.rules) == (textbook.genes, textbook.rules)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_carbon(textbook: Network, tmp_path: Path, suffix: str) -> None:
    assert read_network(textbook_file(tmp_path / f"cell{suffix}")).carbon == textbook.carbon


def test_genes_and_rules_are_those_of_cobra(textbook: Network, source: cobra.Model) -> None:
    assert textbook.genes == tuple(gene.id for gene in source.genes)
    assert textbook.rules["PFK"] == source.reactions.PFK.gene_reaction_rule


def test_reaction_without_genes_has_no_rule(textbook: Network) -> None:
    assert "ATPM" not in textbook.rules


def test_cobra_object_is_the_packaged_network(textbook: Network, source: cobra.Model) -> None:
    assert read_network(source).hash == textbook.hash


def test_cobra_object_is_never_changed() -> None:
    written_as_uptake = small()

    def everything() -> list[object]:
        return [(r.id, r.bounds, r.objective_coefficient, dict(r.metabolites)) for r in written_as_uptake.reactions]

    before, problem = everything(), str(written_as_uptake.solver)
    pfba(read_network(written_as_uptake), {"EX_glc_e": 3.0})
    assert (everything(), str(written_as_uptake.solver)) == (before, problem)


def test_two_readings_have_one_hash(textbook: Network) -> None:
    assert read_network("textbook").hash == textbook.hash


def test_textbook_maintenance_and_biomass_are_read(textbook: Network) -> None:
    assert (textbook.biomass, textbook.maintenance, textbook.maintenance_demand) == ("Biomass_Ecoli_core", "ATPM", 8.39)


def test_textbook_exchanges_are_the_twenty_written_as_such(textbook: Network) -> None:
    assert textbook.exchanges == tuple(name for name in textbook.reactions if name.startswith("EX_"))


def test_demands_of_the_inside_are_no_exchanges(ijo1366: Network) -> None:
    assert not [name for name in ijo1366.exchanges if name.startswith("DM_")]


def test_exchange_carbon_comes_from_the_formula(textbook: Network) -> None:
    assert (textbook.carbon["EX_glc__D_e"], textbook.carbon["EX_ac_e"], textbook.carbon["EX_o2_e"]) == (6.0, 2.0, 0.0)


def test_bounds_of_a_thousand_are_no_bounds(textbook: Network) -> None:
    assert (textbook.lower[textbook.column("EX_o2_e")], textbook.upper[textbook.column("PFK")]) == (-np.inf, np.inf)


def test_exchange_written_as_uptake_is_turned_round() -> None:
    assert read_network(small()).lower[0] == -10.0


def test_exchange_written_as_uptake_gives_positive_uptake() -> None:
    assert pfba(read_network(small()), {"EX_glc_e": 9.0}).uptake("EX_glc_e") == pytest.approx(9.0)


def test_exchange_written_as_uptake_gives_the_network_written_as_secretion() -> None:
    assert read_network(small(1.0)).hash == read_network(small(-1.0)).hash


LEVEL_2 = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level2" level="2" version="1" xmlns:html="http://www.w3.org/1999/xhtml">
<model id="old">
<listOfCompartments><compartment id="e"/><compartment id="c"/></listOfCompartments>
<listOfSpecies>
  <species id="M_glc_DASH_D_e" compartment="e"/><species id="M_x_c" compartment="c"/>
</listOfSpecies>
<listOfReactions>
  <reaction id="R_EX_glc_LPAREN_e_RPAREN_">
    <listOfReactants><speciesReference species="M_glc_DASH_D_e"/></listOfReactants>
    <kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML"><ci>v</ci></math><listOfParameters>
      <parameter id="LOWER_BOUND" value="-10"/><parameter id="UPPER_BOUND" value="999999"/>
    </listOfParameters></kineticLaw>
  </reaction>
  <reaction id="R_GLCt">
    <notes><html:p>GENE_ASSOCIATION: (b1 AND b2) OR b3</html:p></notes>
    <listOfReactants><speciesReference species="M_glc_DASH_D_e"/></listOfReactants>
    <listOfProducts><speciesReference species="M_x_c" stoichiometry="2"/></listOfProducts>
    <kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML"><ci>v</ci></math><listOfParameters>
      <parameter id="LOWER_BOUND" value="0"/><parameter id="UPPER_BOUND" value="999999"/>
    </listOfParameters></kineticLaw>
  </reaction>
  <reaction id="R_growth">
    <listOfReactants><speciesReference species="M_x_c"/></listOfReactants>
    <kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML"><ci>v</ci></math><listOfParameters>
      <parameter id="LOWER_BOUND" value="0"/><parameter id="UPPER_BOUND" value="999999"/>
      <parameter id="OBJECTIVE_COEFFICIENT" value="1"/>
    </listOfParameters></kineticLaw>
  </reaction>
</listOfReactions></model></sbml>
"""


@pytest.fixture
def old(tmp_path: Path) -> Network:
    """A network as files of SBML level 2 have it: bounds in kinetic laws, genes in notes."""
    (tmp_path / "old.xml").write_text(LEVEL_2)
    return read_network(tmp_path / "old.xml")


def test_level_2_ids_come_as_they_are(old: Network) -> None:
    assert (old.reactions, old.biomass) == (("EX_glc_LPAREN_e_RPAREN_", "GLCt", "growth"), "growth")


def test_level_2_bounds_come_from_kinetic_laws(old: Network) -> None:
    assert (old.lower.tolist(), old.upper.tolist()) == ([-10.0, 0.0, 0.0], [np.inf] * 3)


def test_level_2_genes_come_from_notes(old: Network) -> None:
    assert (set(old.genes), dict(old.rules)) == ({"b1", "b2", "b3"}, {"GLCt": "(b1 and b2) or b3"})


def test_level_2_network_grows(old: Network) -> None:
    assert pfba(old, {"EX_glc_LPAREN_e_RPAREN_": 4.0}).growth == pytest.approx(8.0)


@pytest.mark.parametrize("name", ["cell", "cell.txt", "cell.yml", "cell.gz", "cell.XML", "cell.xml.zip", "cell.mat.gz"])
def test_unknown_suffix_names_the_known_ones(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(SBML)
    assert f"must end in one of {', '.join(SUFFIXES)}" in refusal(tmp_path / name)


def test_missing_file_names_the_packaged_networks(tmp_path: Path) -> None:
    assert "there is no file" in refusal(tmp_path / "none.xml")


def test_misspelt_packaged_name_names_the_nearest() -> None:
    assert "nearest known: iJO1366" in refusal("iJ01366")


def test_folder_is_refused(tmp_path: Path) -> None:
    assert "there is no file" in refusal(tmp_path)


def test_what_is_no_network_at_all_is_refused() -> None:
    assert "[1, 2] is no metabolic network; give a path, a name or a cobra object" in refusal([1, 2])


def test_named_biomass_replaces_the_objective(source: cobra.Model) -> None:
    assert read_network(source, biomass="ATPS4r").biomass == "ATPS4r"


def test_unknown_biomass_names_the_nearest(source: cobra.Model) -> None:
    assert "nearest known: Biomass_Ecoli_core" in refusal(source, biomass="Biomass_Ecoli")


def test_unknown_maintenance_names_the_nearest(source: cobra.Model) -> None:
    assert "nearest known: ATPM" in refusal(source, maintenance="ATPN")


def test_network_without_maintenance_has_no_demand() -> None:
    network = read_network(small())
    assert (network.maintenance, network.maintenance_demand) == (None, 0.0)


def test_several_forced_reactions_must_be_named(source: cobra.Model) -> None:
    source.reactions.ATPM.id = "upkeep"
    source.reactions.PFK.lower_bound = 1.0
    assert "several reactions are forced to run: upkeep, PFK; name one as maintenance=" in refusal(source)


def spoilt(change: Callable[[cobra.Model], None], suffix: str, path: Path) -> Path:
    """The textbook network with one thing wrong, in a file of that format."""
    source = read_sbml_model(str(PACKED))
    change(source)
    return written(source, path / f"cell{suffix}")


def force_with(low: float) -> Callable[[cobra.Model], None]:
    return lambda source: setattr(source.reactions.ATPM, "_lower_bound", low)


@pytest.mark.parametrize("suffix", [".json", ".json.gz", ".mat"])
@pytest.mark.parametrize(
    ("low", "message"),
    [
        (np.nan, "reaction 'ATPM' has a bound that is not a number"),
        (2000.0, "reaction 'ATPM' has lower bound 2000 above upper bound 1000"),
        (np.inf, "reaction 'ATPM' has lower bound inf above upper bound 1000"),
    ],
)
def test_bad_bound_in_a_file_names_its_reaction(tmp_path: Path, suffix: str, low: float, message: str) -> None:
    assert message in refusal(spoilt(force_with(low), suffix, tmp_path))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b'value="NaN"', "reaction 'ATPM' has a bound that is not a number"),
        (b'value="eight"', "reaction 'ATPM' has a bound that is not a number"),
        (b"", "reaction 'ATPM' has a bound that is not a number"),
        (b'value="INF"', "reaction 'ATPM' has lower bound inf above upper bound 1000"),
        (b'value="2000"', "reaction 'ATPM' has lower bound 2000 above upper bound 1000"),
    ],
)
def test_bad_bound_in_sbml_names_its_reaction(tmp_path: Path, value: bytes, message: str) -> None:
    (tmp_path / "cell.xml").write_bytes(SBML.replace(b'value="8.39"', value))
    assert message in refusal(tmp_path / "cell.xml")


def test_bad_bound_in_level_2_names_its_reaction(tmp_path: Path) -> None:
    (tmp_path / "old.xml").write_text(LEVEL_2.replace('value="-10"', 'value="NaN"'))
    assert "reaction 'EX_glc_LPAREN_e_RPAREN_' has a bound that is not a number" in refusal(tmp_path / "old.xml")


@pytest.mark.parametrize("side", ["_lower_bound", "_upper_bound"])
def test_bound_of_an_object_that_is_not_a_number_is_refused(source: cobra.Model, side: str) -> None:
    setattr(source.reactions.PFK, side, np.nan)
    assert "reaction 'PFK' has a bound that is not a number" in refusal(source)


def test_inverted_bounds_of_an_object_are_refused(source: cobra.Model) -> None:
    source.reactions.PFK._lower_bound = 2000.0
    assert "reaction 'PFK' has lower bound 2000 above upper bound 1000" in refusal(source)


def test_order_of_bounds_in_json_does_not_matter(tmp_path: Path, textbook: Network) -> None:
    content = json.loads(textbook_file(tmp_path / "cell.json").read_text())
    for reaction in content["reactions"]:
        reaction["lower_bound"] = reaction.pop("lower_bound")  # now the last
        if reaction["id"] == "PGK":
            reaction["lower_bound"], reaction["upper_bound"] = -1000.0, -5.0
    (tmp_path / "cell.json").write_text(json.dumps(content))
    assert read_network(tmp_path / "cell.json").upper[textbook.column("PGK")] == -5.0


def test_coefficient_that_is_not_a_number_names_its_reaction(source: cobra.Model) -> None:
    source.reactions.PFK._metabolites[source.metabolites.atp_c] = np.nan
    assert "reaction 'PFK' has a coefficient that is not a finite number" in refusal(source)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ({}, "the network has no objective; name one reaction as biomass=, candidates: Biomass_Ecoli_core"),
        (
            {"PFK": 1.0, "Biomass_Ecoli_core": 1.0},
            "several objectives: 1 Biomass_Ecoli_core, 1 PFK; name one reaction as biomass=, "
            "candidates: Biomass_Ecoli_core, PFK",
        ),
        ({"Biomass_Ecoli_core": -1.0}, "the objective -1 Biomass_Ecoli_core"),
    ],
    ids=["none", "two", "negative"],
)
def test_unclear_objective_is_reported(source: cobra.Model, objective: dict[str, float], message: str) -> None:
    source.objective = {source.reactions.get_by_id(name): weight for name, weight in objective.items()}
    assert message in refusal(source)


def test_minimised_growth_is_no_growth(source: cobra.Model) -> None:
    source.objective_direction = "min"
    assert "the objective -1 Biomass_Ecoli_core" in refusal(source)


def test_minimised_negative_growth_is_growth(source: cobra.Model, textbook: Network) -> None:
    source.objective = {source.reactions.Biomass_Ecoli_core: -1.0}
    source.objective_direction = "min"
    assert read_network(source).hash == textbook.hash


@pytest.mark.parametrize("name", ["growth", "r_4041"])
def test_missing_objective_names_what_is_called_growth(source: cobra.Model, name: str) -> None:
    source.reactions.Biomass_Ecoli_core.id = name
    source.reactions.get_by_id(name).name = "Biomass pseudoreaction"
    source.objective = {}
    assert refusal(source).endswith(f"candidates: {name}")


def test_missing_objective_names_what_consumes_most(source: cobra.Model) -> None:
    source.reactions.Biomass_Ecoli_core.name = ""
    source.reactions.Biomass_Ecoli_core.id = "r_1"
    source.objective = {}
    assert "candidates: r_1, " in refusal(source)


def test_missing_objective_is_replaced_by_a_named_biomass(source: cobra.Model, textbook: Network) -> None:
    source.objective = {}
    assert read_network(source, biomass="Biomass_Ecoli_core").hash == textbook.hash


@pytest.mark.parametrize("suffix", [".json", ".mat"])
def test_missing_objective_in_a_file_is_reported(tmp_path: Path, suffix: str) -> None:
    path = spoilt(lambda source: setattr(source, "objective", {}), suffix, tmp_path)
    assert "the network has no objective" in refusal(path)


def test_sbml_without_reactions_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(
        "<?xml version='1.0'?><sbml xmlns='http://www.sbml.org/sbml/level3/version1/core' level='3' version='1'>"
        "<model id='nothing'/></sbml>"
    )
    assert "no reactions" in refusal(path)


def renamed(kind: str, old: str, new: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(cobra.io.to_json(read_sbml_model(str(PACKED))))
    for item in content[kind]:
        if item["id"] == old:
            item["id"] = new
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "it has no list of reactions; write it with cobra"),
        ({"reactions": [], "genes": []}, "it has no list of metabolites"),
        ({"reactions": [], "genes": [], "metabolites": []}, "no reactions"),
        ({"reactions": [{"name": "PFK"}], "genes": [], "metabolites": []}, "cannot be read as JSON: KeyError 'id'"),
        (renamed("reactions", "PFK", "PFK\x01"), r"'PFK\x01' is no id"),
        (renamed("reactions", "PFK", "P" * 300), "is no id: it must be a text of up to 240 bytes"),
        (renamed("metabolites", "atp_c", "atp\x7f"), r"'atp\x7f' is no id"),
        (renamed("reactions", "PFK", 7), "7 is no id"),
        (renamed("reactions", "PFK", None), "None is no id"),
    ],
    ids=["empty", "no metabolites", "nothing", "no id", "control", "long", "metabolite", "number", "null"],
)
def test_bad_content_of_json_is_reported(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    (tmp_path / "cell.json").write_text(json.dumps(content))
    assert message in refusal(tmp_path / "cell.json")


def test_id_that_decodes_to_a_control_character_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cell.xml").write_bytes(SBML.replace(b'"R_PFK"', b'"R_PFK__1__"'))
    assert r"'PFK\x01' is no id" in refusal(tmp_path / "cell.xml")


def test_id_with_a_control_character_in_matlab_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cell.mat").write_bytes(
        textbook_file(tmp_path / "cell.mat").read_bytes().replace(b"atp_c", b"atp\x01c")
    )
    assert r"'atp\x01c' is no id" in refusal(tmp_path / "cell.mat")


def test_reader_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.xml").write_text(LEVEL_2)
    read_network(tmp_path / "old.xml")
    read_network(textbook_file(tmp_path / "cell.mat"))
    assert capfd.readouterr() == ("", "")
