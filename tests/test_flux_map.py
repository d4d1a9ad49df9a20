"""Maps of the metabolism: what is shipped is what is drawn, any map of Escher is read, and fluxes are shown as they are."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mmopt import ConstantFeed, StudyError, ecoli_fed_batch, load_surrogate, read_network, simulate
from mmopt.network.network import Network
from mmopt.pathways import FluxMap, load_flux_map, plot_flux_map
from mmopt.pathways.drawing import FOLDER, NETWORKS, central_metabolism
from mmopt.pathways.flux_map import map_for
from mmopt.report.flux_map import map_with_slider

START = {"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2}


@pytest.fixture(scope="module")
def fluxes() -> xr.DataArray:
    cell = load_surrogate("ecoli_textbook")
    return simulate(ecoli_fed_batch(), START, {"feed": ConstantFeed(0.01)}, 4.0, cell).fluxes(cell)


def network_of(name: str, request: pytest.FixtureRequest) -> Network:
    return request.getfixturevalue("ijo1366") if name == "iJO1366" else read_network(name)


@pytest.mark.parametrize("name", ["textbook", pytest.param("iJO1366", marks=pytest.mark.genome)])
def test_shipped_map_is_the_drawing_for_its_network(name: str, request: pytest.FixtureRequest) -> None:
    network = network_of(name, request)
    shipped = json.loads((FOLDER / f"{name}.json").read_text())
    assert shipped == json.loads(json.dumps(central_metabolism(network, NETWORKS[name])))
    assert {reaction.id for reaction in load_flux_map(name).reactions} <= set(network.reactions)
    chosen = map_for(network.reactions)
    assert chosen is not None
    assert [one.id for one in chosen.reactions] == [one.id for one in load_flux_map(name).reactions]


def test_every_reaction_ends_at_metabolites_on_the_canvas() -> None:
    drawn = load_flux_map("textbook")
    left, top, width, height = drawn.canvas
    points = {one.at for one in drawn.metabolites}
    for reaction in drawn.reactions:
        assert reaction.substrate_ends
        assert reaction.product_ends
        for line in (*reaction.substrate_ends, *reaction.product_ends):
            assert tuple(line[-1]) in points
        for line in reaction.lines:
            assert np.all(line >= [left, top])
            assert np.all(line <= [left + width, top + height])


def test_reaction_that_runs_the_other_way_cannot_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmopt.pathways import drawing

    monkeypatch.setattr(drawing, "_STEPS", (("PGI", ("f6p_c", "g6p_c"), 0.0),))
    with pytest.raises(StudyError, match="PGI does not run from f6p_c to g6p_c"):
        central_metabolism(read_network("textbook"), {})


def test_figure_has_every_flux_and_its_direction(fluxes: xr.DataArray) -> None:
    figure = plot_flux_map(fluxes, 2.0)
    said = {text.get_text() for text in figure.axes[0].texts}
    pgk = float(fluxes.sel(reaction="PGK").interp(time=2.0))
    assert pgk < 0.0
    assert f"PGK {pgk:.3g}" in said
    assert {"glc__D_e", "Glycolysis"} <= said
    broad = max(float(np.max(lines.get_linewidth())) for lines in figure.axes[0].collections)
    assert broad == pytest.approx(7.0)
    same = plot_flux_map(fluxes, 2.0, largest=1000.0).axes[0].collections
    assert max(float(np.max(lines.get_linewidth())) for lines in same) < 1.5


@pytest.mark.parametrize("time", [-0.1, 4.1, float("nan"), "late"])
def test_time_outside_the_fluxes_is_refused(fluxes: xr.DataArray, time: Any) -> None:
    with pytest.raises(StudyError, match="give one from 0 to 4 h"):
        plot_flux_map(fluxes, time)


def escher(**changes: Any) -> list[Any]:
    """A map of one reaction with a curve, a cofactor, and no canvas."""
    nodes: dict[str, Any] = {
        "1": {"node_type": "metabolite", "x": 0.0, "y": 0.0, "bigg_id": "a_c", "label_x": 5.0, "label_y": 5.0},
        "2": {"node_type": "midmarker", "x": 0.0, "y": 50.0},
        "3": {"node_type": "metabolite", "x": 0.0, "y": 100.0, "bigg_id": "b_c", "node_is_primary": False},
    }
    segments = {
        "1": {"from_node_id": "1", "to_node_id": "2", "b1": {"x": 10.0, "y": 10.0}, "b2": {"x": 10.0, "y": 40.0}},
        "2": {"from_node_id": "2", "to_node_id": "3", "b1": None, "b2": None},
    }
    reaction = {
        "bigg_id": "PGI",
        "label_x": 10.0,
        "label_y": 50.0,
        "metabolites": [{"bigg_id": "a_c", "coefficient": -1.0}, {"bigg_id": "b_c", "coefficient": 1.0}],
        "segments": segments,
        **changes,
    }
    return [{"map_name": "mine"}, {"reactions": {"9": reaction}, "nodes": nodes}]


def written(folder: Path, content: Any) -> Path:
    path = folder / "map.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_own_map_is_drawn(fluxes: xr.DataArray, tmp_path: Path) -> None:
    mine = load_flux_map(written(tmp_path, escher()))
    assert isinstance(mine, FluxMap)
    assert (mine.name, mine.canvas) == ("mine", (-50.0, -50.0, 100.0, 200.0))
    (reaction,) = mine.reactions
    assert len(reaction.lines[0]) == 12
    assert [len(reaction.substrate_ends), len(reaction.product_ends)] == [1, 1]
    assert tuple(reaction.substrate_ends[0][-1]) == (0.0, 0.0)
    assert plot_flux_map(fluxes, 1.0, mine).axes[0].get_title("left") == "mine at 1 h"
    other = load_flux_map(written(tmp_path, escher(bigg_id="PGJ")))
    with pytest.raises(StudyError, match="the map has none of these reactions, such as 'PGJ'; nearest known: PG"):
        plot_flux_map(fluxes, 1.0, other)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no JSON",
        "[]",
        "[1, 2]",
        '{"reactions": {}}',
        "[" * 100_000,
        escher(label_x=float("nan")),
        escher(segments={"1": 3}),
    ],
    ids=["empty", "text", "no content", "numbers", "no header", "deep", "not finite", "no segment"],
)
def test_file_that_is_no_map_is_refused_in_one_line(tmp_path: Path, content: Any) -> None:
    with pytest.raises(StudyError, match="give a map as Escher saves it") as refused:
        load_flux_map(written(tmp_path, content))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("source", ["nowhere.json", "", None, 3])
def test_map_that_does_not_exist_is_refused(source: Any) -> None:
    with pytest.raises(StudyError, match="give a map as Escher saves it"):
        load_flux_map(source)


def test_slider_has_the_fluxes_of_every_time(fluxes: xr.DataArray) -> None:
    html = map_with_slider(fluxes)
    data: Mapping[str, Any] = json.loads(re.findall(r'<script type="application/json">(.*?)</script>', html)[0])
    order = re.findall(r'<g data-k="(\d+)">.*?<text [^>]*>(\S+) <tspan>', html)
    assert [int(number) for number, _ in order] == list(range(len(order)))
    assert len(order) == len(load_flux_map("textbook").reactions)
    for number, reaction in order:
        expected = fluxes.sel(reaction=reaction).interp(time=np.linspace(0.0, 4.0, 61))
        assert data["fluxes"][int(number)] == pytest.approx(expected.values, rel=1e-3, abs=1e-3)
    assert data["largest"] == pytest.approx(np.abs(data["fluxes"]).max(), rel=1e-3)
    assert "http" not in html


def test_network_without_a_map_has_none(fluxes: xr.DataArray) -> None:
    other = fluxes.assign_coords(reaction=[f"r{k}" for k in range(fluxes.reaction.size)])
    assert map_with_slider(other) == ""
    with pytest.raises(StudyError, match="no shipped map has these reactions"):
        plot_flux_map(other, 1.0)
