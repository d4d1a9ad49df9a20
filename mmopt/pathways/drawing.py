"""Our drawing of central carbon metabolism, written as maps in Escher's format for the ids of two networks.

``python -m mmopt.pathways.drawing`` writes the files in ``maps``. Metabolites have positions, reactions run between two of them
as the network has them; what else takes part in a reaction is in its stoichiometry alone.

References
----------
King et al. (2015), Escher, PLOS Computational Biology 11:e1004321 (the format).
"""

import json
from collections.abc import Mapping
from itertools import pairwise
from math import cos, radians, sin
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from mmopt.errors import StudyError
from mmopt.network.network import Network
from mmopt.network.reading import read_network

FOLDER: Final = Path(__file__).parent / "maps"

Point = tuple[float, float]

_NAME: Final = "central metabolism"
_SCHEMA: Final = "https://escher.github.io/escher/jsonschema/1-0-0#"
_CANVAS: Final = {"x": 0, "y": 0, "width": 1500, "height": 1720}
_MARKS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
_CENTRE, _RADIUS = (520.0, 1470.0), 190.0


def _around(angle: float) -> Point:
    """A point of the circle of the TCA cycle."""
    return (
        round(_CENTRE[0] + _RADIUS * cos(radians(angle)), 1),
        round(_CENTRE[1] - _RADIUS * sin(radians(angle)), 1),
    )


_POSITIONS: Final[Mapping[str, Point]] = MappingProxyType(
    {
        "glc__D_e": (520.0, 70.0),
        "g6p_c": (520.0, 190.0),
        "f6p_c": (520.0, 310.0),
        "fdp_c": (520.0, 430.0),
        "dhap_c": (330.0, 550.0),
        "g3p_c": (520.0, 550.0),
        "13dpg_c": (520.0, 650.0),
        "3pg_c": (520.0, 750.0),
        "2pg_c": (520.0, 850.0),
        "pep_c": (520.0, 950.0),
        "pyr_c": (520.0, 1070.0),
        "accoa_c": (520.0, 1200.0),
        "lac__D_c": (690.0, 1070.0),
        "actp_c": (350.0, 1200.0),
        "ac_c": (200.0, 1200.0),
        "ac_e": (60.0, 1200.0),
        "acald_c": (690.0, 1200.0),
        "etoh_c": (850.0, 1200.0),
        "6pgl_c": (720.0, 190.0),
        "6pgc_c": (900.0, 190.0),
        "ru5p__D_c": (1090.0, 190.0),
        "r5p_c": (980.0, 330.0),
        "xu5p__D_c": (1200.0, 330.0),
        "s7p_c": (980.0, 460.0),
        "g3p_c 2": (1200.0, 460.0),
        "e4p_c": (980.0, 590.0),
        "f6p_c 2": (1200.0, 590.0),
        "xu5p__D_c 2": (800.0, 590.0),
        "f6p_c 3": (980.0, 720.0),
        "g3p_c 3": (800.0, 720.0),
        "oaa_c": _around(132.0),
        "cit_c": _around(62.0),
        "acon_C_c": _around(30.0),
        "icit_c": _around(-2.0),
        "akg_c": _around(-42.0),
        "succoa_c": _around(-84.0),
        "succ_c": _around(-126.0),
        "fum_c": _around(-165.0),
        "mal__L_c": _around(160.0),
        "glx_c": _CENTRE,
        "nadh_c": (900.0, 930.0),
        "nad_c": (900.0, 1080.0),
        "o2_c": (1060.0, 930.0),
        "h2o_c": (1060.0, 1080.0),
        "adp_c": (1220.0, 930.0),
        "atp_c": (1220.0, 1080.0),
        "atp_c 2": (1380.0, 930.0),
        "adp_c 2": (1380.0, 1080.0),
    }
)
"""By metabolite; one that is drawn several times has a number."""

_BELOW, _ABOVE = (-20.0, 27.0), (-20.0, -14.0)
_IDS_AT: Final[Mapping[str, Point]] = MappingProxyType(
    {
        **dict.fromkeys(("lac__D_c", "actp_c", "ac_c", "ac_e", "acald_c", "etoh_c", "dhap_c"), _BELOW),
        **dict.fromkeys(("6pgl_c", "6pgc_c", "succoa_c", "glx_c"), _BELOW),
        **dict.fromkeys(("oaa_c", "mal__L_c", "fum_c", "succ_c"), (-72.0, 5.0)),
        **dict.fromkeys(("xu5p__D_c 2", "g3p_c 3"), (-40.0, 27.0)),
        "f6p_c 3": _BELOW,
        "ru5p__D_c": _ABOVE,
        "g6p_c": (-62.0, 5.0),
        "accoa_c": (12.0, 27.0),
        "pyr_c": (-58.0, 5.0),
    }
)
"""Where the id of a metabolite is written, if not to the right of it."""

_TITLES: Final[Mapping[str, Point]] = MappingProxyType(
    {
        "Glycolysis": (230.0, 70.0),
        "Pentose phosphates": (900.0, 120.0),
        "Overflow and fermentation": (30.0, 960.0),
        "TCA cycle and glyoxylate": (760.0, 1640.0),
        "Respiration and ATP": (900.0, 860.0),
    }
)

_STEPS: Final[tuple[tuple[str, tuple[str, ...], float], ...]] = (
    ("GLCpts", ("glc__D_e", "g6p_c"), 0.0),
    ("PGI", ("g6p_c", "f6p_c"), 0.0),
    ("PFK", ("f6p_c", "fdp_c"), -26.0),
    ("FBP", ("fdp_c", "f6p_c"), -26.0),
    ("FBA", ("fdp_c", "g3p_c", "dhap_c"), 0.0),
    ("TPI", ("dhap_c", "g3p_c"), 0.0),
    ("GAPD", ("g3p_c", "13dpg_c"), 0.0),
    ("PGK", ("3pg_c", "13dpg_c"), 0.0),
    ("PGM", ("2pg_c", "3pg_c"), 0.0),
    ("ENO", ("2pg_c", "pep_c"), 0.0),
    ("PYK", ("pep_c", "pyr_c"), -26.0),
    ("PPS", ("pyr_c", "pep_c"), -26.0),
    ("PDH", ("pyr_c", "accoa_c"), -26.0),
    ("PFL", ("pyr_c", "accoa_c"), 26.0),
    ("LDH_D", ("lac__D_c", "pyr_c"), 0.0),
    ("PTAr", ("accoa_c", "actp_c"), 0.0),
    ("ACKr", ("ac_c", "actp_c"), 0.0),
    ("ACt2r", ("ac_e", "ac_c"), 0.0),
    ("ACALD", ("acald_c", "accoa_c"), 0.0),
    ("ALCD2x", ("etoh_c", "acald_c"), 0.0),
    ("G6PDH2r", ("g6p_c", "6pgl_c"), 0.0),
    ("PGL", ("6pgl_c", "6pgc_c"), 0.0),
    ("GND", ("6pgc_c", "ru5p__D_c"), 0.0),
    ("RPI", ("r5p_c", "ru5p__D_c"), 0.0),
    ("RPE", ("ru5p__D_c", "xu5p__D_c"), 0.0),
    ("TKT1", ("r5p_c", "s7p_c", "xu5p__D_c", "g3p_c 2"), 60.0),
    ("TALA", ("s7p_c", "e4p_c", "g3p_c 2", "f6p_c 2"), 60.0),
    ("TKT2", ("e4p_c", "f6p_c 3", "xu5p__D_c 2", "g3p_c 3"), -60.0),
    ("CS", ("oaa_c", "cit_c", "accoa_c"), -24.0),
    ("ACONTa", ("cit_c", "acon_C_c"), -8.0),
    ("ACONTb", ("acon_C_c", "icit_c"), -8.0),
    ("ICDHyr", ("icit_c", "akg_c"), -14.0),
    ("AKGDH", ("akg_c", "succoa_c"), -14.0),
    ("SUCOAS", ("succ_c", "succoa_c"), 14.0),
    ("SUCDi", ("succ_c", "fum_c"), -14.0),
    ("FUM", ("fum_c", "mal__L_c"), -12.0),
    ("MDH", ("mal__L_c", "oaa_c"), -8.0),
    ("ICL", ("icit_c", "glx_c", "succ_c"), 0.0),
    ("MALS", ("glx_c", "mal__L_c"), 0.0),
    ("PPC", ("pep_c", "oaa_c"), 130.0),
    ("PPCK", ("oaa_c", "pep_c"), -190.0),
    ("ME2", ("mal__L_c", "pyr_c"), -250.0),
    ("NADH16", ("nadh_c", "nad_c"), 0.0),
    ("CYTBD", ("o2_c", "h2o_c"), 0.0),
    ("ATPS4r", ("adp_c", "atp_c"), 0.0),
    ("ATPM", ("atp_c 2", "adp_c 2"), 0.0),
)
"""Reaction; from and to which metabolite it is drawn, and which others join and leave it; and how far its middle is off the
straight line, to the right of its way."""

NETWORKS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "textbook": {},
        "iJO1366": {
            "GLCpts": "GLCptspp",
            "ACt2r": "ACt2rpp",
            "NADH16": "NADH16pp",
            "CYTBD": "CYTBO3_4pp",
            "ATPS4r": "ATPS4rpp",
            "glc__D_e": "glc__D_p",
            "ac_e": "ac_p",
        },
    }
)
"""Networks that have a map, and the ids in which they differ."""


def central_metabolism(network: Network, ids: Mapping[str, str]) -> list[Any]:
    """Return the map for a network.

    Parameters
    ----------
    network
        The network.
    ids
        Its ids of reactions and metabolites that are other ones here.

    Returns
    -------
    list
        Header and content of a map in Escher's format.

    Raises
    ------
    StudyError
        If a reaction does not run between the metabolites it is drawn between.

    Examples
    --------
    >>> from mmopt.pathways.drawing import central_metabolism
    >>> central_metabolism(read_network("textbook"), {})[0]["map_description"]
    'central metabolism by the ids of e_coli_core'
    """
    nodes: dict[str, Any] = {}
    number = {key: str(k) for k, key in enumerate(_POSITIONS)}
    for key, (x, y) in _POSITIONS.items():
        name = ids.get(key.split()[0], key.split()[0])
        right, down = _IDS_AT.get(key, (14.0, 5.0))
        where = {"x": x, "y": y, "label_x": round(x + right, 1), "label_y": round(y + down, 1)}
        kind = {"node_type": "metabolite", "bigg_id": name, "name": name, "node_is_primary": True}
        nodes[number[key]] = {**kind, **where}
    reactions = {str(1000 + k): _reaction(network, ids, step, nodes, number) for k, step in enumerate(_STEPS)}
    texts = {str(k): {"text": text, "x": x, "y": y} for k, (text, (x, y)) in enumerate(_TITLES.items())}
    description = f"central metabolism by the ids of {network.name}"
    header = {"map_name": _NAME, "map_id": _NAME, "map_description": description, "homepage": "", "schema": _SCHEMA}
    return [header, {"reactions": reactions, "nodes": nodes, "text_labels": texts, "canvas": _CANVAS}]


def _reaction(
    network: Network,
    ids: Mapping[str, str],
    step: tuple[str, tuple[str, ...], float],
    nodes: dict[str, Any],
    number: Mapping[str, str],
) -> dict[str, Any]:
    """A reaction of the map; its markers are added to the nodes."""
    name, ends, off = step
    reaction = ids.get(name, name)
    at = network.column(reaction)
    column = network.stoichiometry[:, [at]].tocoo()
    rows = column.coords[0].tolist()
    amounts = {network.metabolites[row]: float(value) for row, value in zip(rows, column.data, strict=True)}
    signs = [amounts.get(ids.get(key.split()[0], key.split()[0]), 0.0) for key in ends]
    if not signs[0] < 0.0 < signs[1]:
        raise StudyError(f"{reaction} does not run from {ends[0]} to {ends[1]}")
    begin, end = _POSITIONS[ends[0]], _POSITIONS[ends[1]]
    middle = _at(begin, end, off, 0.5)
    right, down = _id_at(begin, end, middle, len(reaction))
    return {
        "name": reaction,
        "bigg_id": reaction,
        "reversibility": bool(network.lower[at] < 0.0),
        "label_x": round(middle[0] + right, 1),
        "label_y": round(middle[1] + down, 1),
        "gene_reaction_rule": "",
        "genes": [],
        "metabolites": [{"bigg_id": one, "coefficient": amount} for one, amount in amounts.items()],
        "segments": _segments(reaction, step, signs, nodes, number),
    }


def _segments(
    reaction: str,
    step: tuple[str, tuple[str, ...], float],
    signs: list[float],
    nodes: dict[str, Any],
    number: Mapping[str, str],
) -> dict[str, Any]:
    """The lines of a reaction: four from end to end over three markers, and one for every other metabolite."""
    _, ends, off = step
    begin, end = _POSITIONS[ends[0]], _POSITIONS[ends[1]]
    kinds = ("multimarker", "midmarker", "multimarker")
    markers = [f"{reaction} {k}" for k in range(3)]
    for marker, kind, (x, y) in zip(markers, kinds, [_at(begin, end, off, t) for t in _MARKS[1:-1]], strict=True):
        nodes[marker] = {"node_type": kind, "x": x, "y": y}
    pairs = [(number[ends[0]], markers[0]), *pairwise(markers), (markers[2], number[ends[1]])]
    pairs += [
        (number[key], markers[0]) if sign < 0.0 else (markers[2], number[key])
        for key, sign in zip(ends[2:], signs[2:], strict=True)
    ]
    bends = [*_bends(begin, end, off), *[(None, None)] * len(ends[2:])]
    return {
        f"{reaction} {k}": {"from_node_id": first, "to_node_id": last, "b1": one, "b2": two}
        for k, ((first, last), (one, two)) in enumerate(zip(pairs, bends, strict=True))
    }


def _at(begin: Point, end: Point, off: float, t: float) -> Point:
    (x, y), (dx, dy) = begin, (end[0] - begin[0], end[1] - begin[1])
    length = (dx * dx + dy * dy) ** 0.5
    aside = 4.0 * t * (1.0 - t) * off / length
    return round(x + t * dx - aside * dy, 1), round(y + t * dy + aside * dx, 1)


def _slope(begin: Point, end: Point, off: float, t: float) -> Point:
    dx, dy = end[0] - begin[0], end[1] - begin[1]
    aside = 4.0 * (1.0 - 2.0 * t) * off / (dx * dx + dy * dy) ** 0.5
    return dx - aside * dy, dy + aside * dx


def _bends(begin: Point, end: Point, off: float) -> list[tuple[Any, Any]]:
    """Control points of the four pieces of the parabola, as Bézier curves; none of a straight line."""
    if off == 0.0:
        return [(None, None)] * 4
    pieces = []
    for low, high in pairwise(_MARKS):
        third = (high - low) / 3.0
        pair = []
        for t, sign in ((low, 1.0), (high, -1.0)):
            (x, y), (dx, dy) = _at(begin, end, off, t), _slope(begin, end, off, t)
            pair.append({"x": round(x + sign * third * dx, 1), "y": round(y + sign * third * dy, 1)})
        pieces.append((pair[0], pair[1]))
    return pieces


def _id_at(begin: Point, end: Point, middle: Point, letters: int) -> Point:
    """Where the id of a reaction begins, from its middle: above a level line, to the left of one on the left of its ends."""
    if abs(end[0] - begin[0]) > 2.0 * abs(end[1] - begin[1]):
        return -5.0 * letters - 16.0, -10.0
    if middle[0] < min(begin[0], end[0]) - 3.0:
        return -9.0 * letters - 60.0, 5.0
    return 12.0, 5.0


def main() -> None:
    """Write the maps of all networks."""
    FOLDER.mkdir(exist_ok=True)
    for name, ids in NETWORKS.items():
        content = central_metabolism(read_network(name), ids)
        (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
