"""Maps of a metabolism: where reactions and metabolites are drawn, read from files in Escher's format.

References
----------
King et al. (2015), Escher, PLOS Computational Biology 11:e1004321.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mmopt.checking import shown
from mmopt.errors import StudyError, nearest
from mmopt.io.files import read_whole

FOLDER: Final = Path(__file__).parent / "maps"

_LARGEST, _MOST = 20_000_000, 20_000
"""Largest file [byte], and most reactions or nodes; the largest maps of Escher's site have 1 MB."""

_CURVE: Final = np.linspace(0.0, 1.0, 12)[:, None]
_FORMAT: Final = "give a map as Escher saves it, with 'reactions' and 'nodes'"

Point = tuple[float, float]


@dataclass(frozen=True, eq=False)
class MapReaction:
    """A reaction of a map.

    Attributes
    ----------
    id, text_at
        The reaction, and where its id is written.
    lines
        Lines of the reaction, each of shape (points, 2), from the substrates on.
    substrate_ends, product_ends
        Lines that end at a metabolite, the end last: there an arrow shows the direction of a flux.
    """

    id: str
    text_at: Point
    lines: tuple[np.ndarray, ...]
    substrate_ends: tuple[np.ndarray, ...]
    product_ends: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class MapMetabolite:
    """A metabolite of a map.

    Attributes
    ----------
    id, at, text_at
        The metabolite, where it is, and where its id is written.
    primary
        Whether it is one of those that the map is about.
    """

    id: str
    at: Point
    text_at: Point
    primary: bool


@dataclass(frozen=True, eq=False)
class FluxMap:
    """Where reactions and metabolites are drawn; the vertical axis points down.

    Attributes
    ----------
    name
        Name of the map.
    reactions, metabolites
        What is drawn.
    texts
        Other texts, and where they are written.
    canvas
        Left, top, width and height.

    Examples
    --------
    >>> load_flux_map("textbook")
    FluxMap('central metabolism': 46 reactions, 48 metabolites)
    """

    name: str
    reactions: tuple[MapReaction, ...]
    metabolites: tuple[MapMetabolite, ...]
    texts: tuple[tuple[str, Point], ...]
    canvas: tuple[float, float, float, float]

    def __repr__(self) -> str:
        return f"FluxMap({self.name!r}: {len(self.reactions)} reactions, {len(self.metabolites)} metabolites)"


def load_flux_map(source: str | Path) -> FluxMap:
    """Read a map.

    Parameters
    ----------
    source
        Path of a map as Escher saves it (JSON), or the name of a shipped one: ``textbook`` or ``iJO1366``, central metabolism
        for the ids of these networks.

    Returns
    -------
    FluxMap

    Raises
    ------
    StudyError
        If there is no such file, or it is no map.

    Examples
    --------
    >>> len(load_flux_map("iJO1366").reactions)
    46
    """
    if not isinstance(source, str | Path) or not str(source):
        raise StudyError(f"the map is {shown(source)}; {_FORMAT}, or the name of a shipped one")
    shipped = FOLDER / f"{source}.json"
    path = shipped if str(source) in _shipped() else Path(source)
    try:
        if path.stat().st_size > _LARGEST:
            raise StudyError(f"the map '{source}' is larger than {_LARGEST / 1e6:g} MB; {_FORMAT}")
        content = json.loads(read_whole(path, _LARGEST).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise StudyError(f"the map '{source}' cannot be read ({error}); {_FORMAT}, or one of {_names()}") from error
    try:
        return _read(content)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise StudyError(f"the map '{source}' is no map ({type(error).__name__}: {error}); {_FORMAT}") from error


def map_for(reactions: Iterable[str]) -> FluxMap | None:
    """Return the shipped map that has most of some reactions; None if none has half of its own reactions among them.

    Parameters
    ----------
    reactions
        Ids of reactions.

    Returns
    -------
    FluxMap or None

    Examples
    --------
    >>> map_for(read_network("textbook").reactions)
    FluxMap('central metabolism': 46 reactions, 48 metabolites)
    >>> map_for(["r1", "r2"]) is None
    True
    """
    known = set(reactions)
    maps = [load_flux_map(name) for name in _shipped()]
    shares = [float(np.mean([reaction.id in known for reaction in one.reactions])) for one in maps]
    return maps[int(np.argmax(shares))] if max(shares) >= 0.5 else None


def mapped_reactions(reactions: Iterable[str]) -> list[str]:
    """Return those of some reactions that the shipped map for them has; none where there is no such map.

    Parameters
    ----------
    reactions
        Ids of reactions.

    Returns
    -------
    list of str
    """
    known = set(reactions)
    flux_map = map_for(known)
    return [] if flux_map is None else [reaction.id for reaction in flux_map.reactions if reaction.id in known]


def checked_map(flux_map: FluxMap | None, reactions: Iterable[str]) -> FluxMap:
    """Return a map that has some reactions, or the shipped one for them.

    Parameters
    ----------
    flux_map
        The map; None for a shipped one.
    reactions
        Ids of reactions.

    Returns
    -------
    FluxMap

    Raises
    ------
    StudyError
        If it is no map, has none of the reactions, or no shipped one has them.
    """
    known = list(reactions)
    chosen = map_for(known) if flux_map is None else flux_map
    if chosen is None:
        raise StudyError(f"no shipped map has these reactions; {_FORMAT}, of the network")
    if not isinstance(chosen, FluxMap):
        raise StudyError(f"the map is {shown(flux_map)}; give one that load_flux_map returned")
    if chosen.reactions and not any(reaction.id in known for reaction in chosen.reactions):
        first = chosen.reactions[0].id
        raise StudyError(f"the map has none of these reactions, such as '{first}'; {nearest(first, known)}")
    return chosen


def _shipped() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def _names() -> str:
    return ", ".join(_shipped())


def _read(content: Any) -> FluxMap:
    header, body = content
    nodes, reactions = body["nodes"], body["reactions"]
    if max(len(nodes), len(reactions)) > _MOST:
        raise ValueError(f"more than {_MOST} nodes or reactions")
    canvas = body.get("canvas") or {}
    return FluxMap(
        str(header.get("map_name", "map")),
        tuple(_reaction(one, nodes) for one in reactions.values()),
        tuple(_metabolite(one) for one in nodes.values() if one["node_type"] == "metabolite"),
        tuple((str(one["text"]), _point(one)) for one in (body.get("text_labels") or {}).values()),
        _frame(canvas, [_point(one) for one in nodes.values()]),
    )


def _point(given: Mapping[str, Any], prefix: str = "") -> Point:
    x, y = float(given[f"{prefix}x"]), float(given[f"{prefix}y"])
    if not np.isfinite([x, y]).all():
        raise ValueError("a position is not finite")
    return x, y


def _frame(canvas: Mapping[str, Any], points: list[Point]) -> tuple[float, float, float, float]:
    """The canvas or, where there is none, what the nodes take."""
    if canvas:
        return (*_point(canvas), float(canvas["width"]), float(canvas["height"]))
    low, high = np.min(points, axis=0) - 50.0, np.max(points, axis=0) + 50.0
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def _metabolite(node: Mapping[str, Any]) -> MapMetabolite:
    written = _point(node, "label_") if "label_x" in node else _point(node)
    return MapMetabolite(str(node["bigg_id"]), _point(node), written, bool(node.get("node_is_primary", True)))


def _reaction(given: Mapping[str, Any], nodes: Mapping[str, Any]) -> MapReaction:
    amounts = {str(one["bigg_id"]): float(one["coefficient"]) for one in given["metabolites"]}
    lines: list[np.ndarray] = []
    substrates: list[np.ndarray] = []
    products: list[np.ndarray] = []
    for segment in given["segments"].values():
        ends = [nodes[segment[key]] for key in ("from_node_id", "to_node_id")]
        line = _curve(_point(ends[0]), _point(ends[1]), segment.get("b1"), segment.get("b2"))
        lines.append(line)
        for end, towards in zip(ends, (line[::-1], line), strict=True):
            if end["node_type"] == "metabolite":
                (substrates if amounts.get(str(end["bigg_id"]), 1.0) < 0.0 else products).append(towards)
    return MapReaction(str(given["bigg_id"]), _point(given, "label_"), tuple(lines), tuple(substrates), tuple(products))


def _curve(begin: Point, end: Point, b1: Any, b2: Any) -> np.ndarray:
    """A straight line, or a Bézier curve with two control points, shape (points, 2)."""
    first, last = np.array(begin), np.array(end)
    if not b1 or not b2:
        return np.array([first, last])
    one, two = np.array(_point(b1)), np.array(_point(b2))
    t = _CURVE
    curve: np.ndarray = (1 - t) ** 3 * first + 3 * t * (1 - t) ** 2 * one + 3 * t**2 * (1 - t) * two + t**3 * last
    return curve
