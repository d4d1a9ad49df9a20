"""A small cell as cobra holds it, to be changed by a test and written as a file."""

from pathlib import Path

import cobra
from cobra.io import save_json_model, save_matlab_model, write_sbml_model

REACTIONS = {
    "EX_glc__D_e": ({"glc__D_e": -1.0}, (-10.0, 1000.0)),
    "EX_ac_e": ({"ac_e": -1.0}, (0.0, 1000.0)),
    "GLCt": ({"glc__D_e": -1.0, "glc__D_c": 1.0}, (0.0, 1000.0)),
    "GLYC": ({"glc__D_c": -1.0, "ac_c": 2.0, "atp_c": 2.0}, (0.0, 1000.0)),
    "ACt": ({"ac_c": -1.0, "ac_e": 1.0}, (-1000.0, 1000.0)),
    "ATPM": ({"atp_c": -1.0}, (1.0, 1000.0)),
    "BIOMASS": ({"glc__D_c": -1.0, "atp_c": -4.0}, (0.0, 1000.0)),
}
"""Two mmol of ATP by mmol of glucose; growth takes one of glucose and four of ATP: 3.1667 1/h on 10 mmol/gDW/h."""

CARBON = {"glc__D_e": "C6H12O6", "glc__D_c": "C6H12O6", "ac_e": "C2H3O2", "ac_c": "C2H3O2"}


def cell(
    changed: dict[str, tuple[float, float]] | None = None,
    more: dict[str, tuple[dict[str, float], tuple[float, float]]] | None = None,
    without: tuple[str, ...] = (),
) -> cobra.Model:
    """The cell with other bounds, with further reactions, or without some."""
    network = cobra.Model("toy")
    reactions = {name: one for name, one in REACTIONS.items() if name not in without} | (more or {})
    for name, (moved, bounds) in reactions.items():
        reaction = cobra.Reaction(name)
        reaction.bounds = (changed or {}).get(name, bounds)
        network.add_reactions([reaction])
        for metabolite in moved:
            if metabolite not in network.metabolites:
                compartment = metabolite.rpartition("_")[2]
                formula = CARBON.get(metabolite)
                network.add_metabolites([cobra.Metabolite(metabolite, formula=formula, compartment=compartment)])
        reaction.add_metabolites({network.metabolites.get_by_id(one): value for one, value in moved.items()})
    network.objective = "BIOMASS"
    return network


def saved(network: cobra.Model, path: Path) -> Path:
    """The network as a file of the format of its suffix."""
    write = {".xml": write_sbml_model, ".json": save_json_model, ".mat": save_matlab_model}[path.suffix]
    write(network, str(path))
    return path


def edited(path: Path, *changes: tuple[str, str]) -> Path:
    """The file with pieces of its text replaced; every piece must be there."""
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path
