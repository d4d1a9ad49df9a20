"""Networks are read whole, with one sign convention, and bad files are refused in one line."""

import gzip
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import cobra
import numpy as np
import pytest
from cobra.io import read_sbml_model

from mmopt.errors import NetworkError
from mmopt.metabolism.network import PACKAGED, Network, read_network
from mmopt.metabolism.pfba import pfba

PACKED = Path(str(files("cobra.data").joinpath("textbook.xml.gz")))
SBML = gzip.decompress(PACKED.read_bytes())


@pytest.fixture
def source() -> cobra.Model:
    """The textbook network as cobra reads it, fresh for every test."""
    return read_sbml_model(str(PACKED))


def legacy(exchange_of_glucose: float = 1.0) -> cobra.Model:
    """A four-step cell; 1.0 writes the glucose exchange as uptake, '--> glc_e', and -1.0 as secretion."""
    network = cobra.Model("legacy")
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


@pytest.mark.parametrize(("name", "reactions"), [("textbook", 95), ("iJO1366", 2583), ("salmonella", 3357)])
def test_packaged_network_is_read_by_name(name: str, reactions: int, request: pytest.FixtureRequest) -> None:
    network = read_network(name) if name == "salmonella" else request.getfixturevalue(name.lower())
    assert len(network.reactions) == reactions


def test_packaged_names_are_what_this_module_tests() -> None:
    assert set(PACKAGED) == {"textbook", "iJO1366", "salmonella"}


def test_packed_file_is_the_packaged_network(textbook: Network, tmp_path: Path) -> None:
    path = tmp_path / "cell.xml.gz"
    path.write_bytes(PACKED.read_bytes())
    assert read_network(path).hash == textbook.hash


def test_unpacked_file_is_the_packaged_network(textbook: Network, tmp_path: Path) -> None:
    path = tmp_path / "cell.xml"
    path.write_bytes(SBML)
    assert read_network(str(path)).hash == textbook.hash


def test_cobra_object_is_the_packaged_network(textbook: Network, source: cobra.Model) -> None:
    assert read_network(source).hash == textbook.hash


def test_cobra_object_is_never_changed() -> None:
    written_as_uptake = legacy()

    def everything() -> list[object]:
        return [(r.id, r.bounds, r.objective_coefficient, dict(r.metabolites)) for r in written_as_uptake.reactions]

    before, problem = everything(), str(written_as_uptake.solver)
    pfba(read_network(written_as_uptake), {"EX_glc_e": 3.0})
    assert (everything(), str(written_as_uptake.solver)) == (before, problem)


def test_textbook_maintenance_and_biomass_are_found(textbook: Network) -> None:
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
    assert read_network(legacy()).lower[0] == -10.0


def test_exchange_written_as_uptake_gives_positive_uptake() -> None:
    assert pfba(read_network(legacy()), {"EX_glc_e": 9.0}).uptake("EX_glc_e") == pytest.approx(9.0)


def test_exchange_written_as_uptake_gives_the_network_written_as_secretion() -> None:
    assert read_network(legacy(1.0)).hash == read_network(legacy(-1.0)).hash


def test_two_readings_have_one_hash(textbook: Network) -> None:
    assert read_network("textbook").hash == textbook.hash


@pytest.mark.parametrize(
    "change",
    [
        lambda source: setattr(source.reactions.PFK, "upper_bound", 12.0),
        lambda source: setattr(source.reactions.ATPM, "lower_bound", 8.4),
        lambda source: source.reactions.PFK.add_metabolites({source.metabolites.atp_c: -1.0e-3}),
        lambda source: setattr(source, "objective", "ATPM"),
    ],
    ids=["bound", "maintenance", "stoichiometry", "biomass"],
)
def test_hash_sees_what_decides_an_answer(
    textbook: Network, source: cobra.Model, change: Callable[[cobra.Model], None]
) -> None:
    change(source)
    assert read_network(source).hash != textbook.hash


def test_unknown_reaction_names_the_nearest(textbook: Network) -> None:
    with pytest.raises(NetworkError, match=r"e_coli_core has no reaction 'PFKK'; nearest known: PFK"):
        textbook.column("PFKK")


def test_unknown_exchange_names_the_nearest(textbook: Network) -> None:
    with pytest.raises(NetworkError, match=r"no exchange 'EX_glc_e'; nearest known: EX_glc__D_e"):
        textbook.exchange("EX_glc_e")


def test_reaction_of_the_inside_is_refused_as_exchange(textbook: Network) -> None:
    with pytest.raises(NetworkError, match=r"no exchange 'PFK'"):
        textbook.exchange("PFK")


def test_named_biomass_replaces_the_objective(source: cobra.Model) -> None:
    assert read_network(source, biomass="ATPS4r").biomass == "ATPS4r"


def test_unknown_biomass_names_the_nearest(source: cobra.Model) -> None:
    assert "nearest known: Biomass_Ecoli_core" in refusal(source, biomass="Biomass_Ecoli")


def test_unknown_maintenance_names_the_nearest(source: cobra.Model) -> None:
    assert "nearest known: ATPM" in refusal(source, maintenance="ATPN")


def test_network_without_maintenance_has_no_demand() -> None:
    network = read_network(legacy())
    assert (network.maintenance, network.maintenance_demand) == (None, 0.0)


def test_several_forced_reactions_must_be_told_apart(source: cobra.Model) -> None:
    source.reactions.ATPM.id = "upkeep"
    source.reactions.PFK.lower_bound = 1.0
    assert "several reactions are forced to run: upkeep, PFK; name one as maintenance=" in refusal(source)


def test_missing_file_names_the_packaged_networks(tmp_path: Path) -> None:
    assert "there is no file" in refusal(tmp_path / "none.xml")


def test_misspelt_packaged_name_names_the_nearest() -> None:
    assert "nearest known: iJO1366" in refusal("iJ01366")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.xml", b"", "is empty"),
        ("a.xml.gz", b"", "is empty"),
        ("a.xml.gz", gzip.compress(b""), "is empty"),
        ("a.xml", b"  \n\n", "is empty"),
        ("a.xml", b"reaction\tlower\tupper\n", "is not SBML"),
        ("a.xml", b"<!DOCTYPE html><html><body>404</body></html>", "is not SBML"),
        ("a.xml", b"<?xml version='1.0'?><plist><dict/></plist>", "is not SBML"),
        ("a.xml", PACKED.read_bytes(), "is not SBML"),
        ("a.xml", bytes(range(256)), "is not SBML"),
        ("a.xml.gz", SBML, "cannot be read"),
        ("a.xml.gz", PACKED.read_bytes()[:200], "cannot be read"),
        ("a.xml.gz", PACKED.read_bytes()[: len(PACKED.read_bytes()) // 2], "cannot be read"),
        ("a.xml", SBML[: len(SBML) // 2], "cannot be read as SBML"),
        ("a.xml", b"<?xml version='1.0'?><!-- <sbml --><list/>", "cannot be read as SBML"),
    ],
    ids=[
        "empty",
        "empty gz",
        "gz of nothing",
        "blank",
        "text",
        "HTML",
        "other XML",
        "gz without its suffix",
        "binary",
        "plain with gz suffix",
        "gz cut early",
        "gz cut in the middle",
        "cut in the middle",
        "SBML in a remark",
    ],
)
def test_bad_file_is_refused_in_words(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert said in refusal(path)


@pytest.mark.parametrize("content", [b"", b"text", SBML[: len(SBML) // 2]], ids=["empty", "text", "truncated"])
def test_bad_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(content)
    assert "\n" not in refusal(path)


def test_sbml_without_reactions_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(
        "<?xml version='1.0'?><sbml xmlns='http://www.sbml.org/sbml/level3/version1/core' level='3' version='1'>"
        "<model id='nothing'/></sbml>"
    )
    assert "no reactions" in refusal(path)


def test_folder_is_refused(tmp_path: Path) -> None:
    assert "there is no file" in refusal(tmp_path)


@pytest.mark.parametrize("side", ["_lower_bound", "_upper_bound"])
def test_bound_that_is_not_a_number_is_refused(source: cobra.Model, side: str) -> None:
    setattr(source.reactions.PFK, side, np.nan)
    assert "reaction 'PFK' has a bound that is not a number" in refusal(source)


def test_inverted_bounds_are_refused(source: cobra.Model) -> None:
    source.reactions.PFK._lower_bound = 2000.0
    assert "reaction 'PFK' has lower bound 2000 above upper bound 1000" in refusal(source)


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        ({}, "the network has no objective"),
        ({"PFK": 1.0, "Biomass_Ecoli_core": 1.0}, "1 PFK"),
        ({"Biomass_Ecoli_core": -1.0}, "-1 Biomass_Ecoli_core"),
    ],
    ids=["none", "two", "negative"],
)
def test_unclear_objective_is_told(source: cobra.Model, objective: dict[str, float], said: str) -> None:
    source.objective = {source.reactions.get_by_id(name): weight for name, weight in objective.items()}
    assert said in refusal(source)


def test_missing_objective_names_candidates(source: cobra.Model) -> None:
    source.objective = {}
    assert "name one reaction as biomass=, candidates: Biomass_Ecoli_core" in refusal(source)


def test_missing_objective_is_replaced_by_a_named_biomass(source: cobra.Model, textbook: Network) -> None:
    source.objective = {}
    assert read_network(source, biomass="Biomass_Ecoli_core").hash == textbook.hash


OPENING = b'<?xml version="1.0"?><sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1">'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'<?xml version="1.0"?><!DOCTYPE sbml [<!ENTITY a "aaaa">]><sbml>&a;</sbml>', "remove the DOCTYPE"),
        (OPENING + b"<a>" * 200_000, "nest more than 100 deep"),
        (OPENING + b"<a></b></sbml>", "mismatched tag"),
        (OPENING, "no element found"),
    ],
)
def test_file_that_would_harm_its_reader_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "cell.xml").write_bytes(content)
    with pytest.raises(NetworkError, match=said):
        read_network(tmp_path / "cell.xml")


def test_gzip_bomb_is_refused_before_it_inflates(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "cell.xml.gz", "wb") as file:
        file.write(OPENING)
        for _ in range(64):
            file.write(b" " * 2**20)
    with pytest.raises(NetworkError, match="inflates to more than"):
        read_network(tmp_path / "cell.xml.gz")
