"""The map of the metabolism in the page: fluxes as widths and colours of lines, with a slider through the batch."""

import json
from itertools import pairwise
from typing import Final

import numpy as np
import xarray as xr

from mmopt.pathways.flux_map import FluxMap, MapReaction, map_for
from mmopt.report import page
from mmopt.units import TIME

_TIMES: Final = 61
"""Times at which the slider stops."""

_SCRIPT: Final = """
(function(){var m=document.currentScript.parentNode,d=JSON.parse(m.querySelector('script[type]').textContent),
s=m.querySelector('input'),o=m.querySelector('output'),g=m.querySelectorAll('g[data-k]');
function mix(a){var l=[158,201,224],c=[0,114,178],e=[31,41,51],p=Math.min(1,2*a),q=Math.max(0,2*a-1);
return 'rgb('+l.map(function(v,i){return Math.round(v+(c[i]-v)*p+(e[i]-c[i])*q)}).join()+')'}
function draw(){var t=+s.value;o.textContent=d.times[t]+' h';g.forEach(function(n){var v=d.fluxes[n.dataset.k][t],
a=Math.min(1,Math.abs(v)/d.largest),z=a<1e-4;n.style.stroke=z?'#d9dee4':mix(a);n.style.fill=n.style.stroke;
n.style.strokeWidth=1.2+9*(z?0:a);n.querySelectorAll('.p').forEach(function(x){x.style.display=!z&&v>0?'':'none'});
n.querySelectorAll('.s').forEach(function(x){x.style.display=!z&&v<0?'':'none'});
n.querySelector('tspan').textContent=z?'0':(+v.toPrecision(3))})}
s.addEventListener('input',draw);draw()})();
"""


def map_with_slider(fluxes: xr.DataArray, flux_map: FluxMap | None = None) -> str:
    """Write a map whose lines follow the fluxes over time.

    Parameters
    ----------
    fluxes
        What `Trajectory.fluxes` returns.
    flux_map
        The map; by default the shipped one that has most of the reactions.

    Returns
    -------
    str
        HTML with a script of its own; empty if no shipped map has the reactions.
    """
    known = set(map(str, fluxes.reaction.values))
    flux_map = map_for(known) if flux_map is None else flux_map
    if flux_map is None:
        return ""
    reactions = [reaction for reaction in flux_map.reactions if reaction.id in known]
    begin, end = float(fluxes.time[0]), float(fluxes.time[-1])
    times = np.linspace(begin, end, _TIMES)
    values = np.array([np.interp(times, fluxes.time, fluxes.sel(reaction=one.id)) for one in reactions])
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    data = {
        "times": [f"{time:.3g}" for time in times],
        "largest": largest,
        "fluxes": [[float(f"{value:.4g}") for value in row] for row in values],
    }
    first = int(np.abs(values).sum(axis=0).argmax()) if len(reactions) else 0
    body = "".join(_reaction(one, k) for k, one in enumerate(reactions))
    body += "".join(
        f'<circle cx="{x:g}" cy="{y:g}" r="5"/><text class="m" x="{one.text_at[0]:g}" y="{one.text_at[1]:g}">'
        f"{page.text(one.id)}</text>"
        for one in flux_map.metabolites
        for x, y in [one.at]
    )
    body += "".join(f'<text class="t" x="{x:g}" y="{y:g}">{page.text(text)}</text>' for text, (x, y) in flux_map.texts)
    frame = " ".join(f"{one:g}" for one in flux_map.canvas)
    caption = (
        f"{flux_map.name}: fluxes [mmol/gDW/h] at the time of the slider. Lines are as broad and as dark as their flux, the "
        f"broadest is {largest:.3g} mmol/gDW/h; arrows show the direction, grey lines have no flux."
    )
    return (
        f'<figure class="map"><label>Time <input type="range" min="0" max="{_TIMES - 1}" value="{first}"> '
        f"<output>{times[first]:.3g} {TIME}</output></label>"
        f'<div class="wide"><svg viewBox="{frame}" role="img" aria-label="{page.text(flux_map.name)}">{body}</svg></div>'
        f"<figcaption>{page.text(caption)}</figcaption>"
        f'<script type="application/json">{json.dumps(data, separators=(",", ":"))}</script>'
        f"<script>{_SCRIPT}</script></figure>"
    )


def _reaction(reaction: MapReaction, number: int) -> str:
    """A group with the lines of a reaction, its arrows and its id; the script adds the flux."""
    path = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line) for line in reaction.lines)
    arrows = "".join(
        f'<path class="{kind}" d="{_arrow(line)}"/>'
        for kind, lines in (("p", reaction.product_ends), ("s", reaction.substrate_ends))
        for line in lines
    )
    x, y = reaction.text_at
    text = f'<text x="{x:g}" y="{y:g}">{page.text(reaction.id)} <tspan></tspan></text>'
    return f'<g data-k="{number}"><path class="l" d="{path}"/>{arrows}{text}</g>'


def _arrow(line: np.ndarray) -> str:
    """A triangle that ends shortly before the end of a line."""
    before, end = next((a, b) for a, b in reversed(list(pairwise(line))) if np.any(a != b))
    way = (end - before) / np.linalg.norm(end - before)
    tip, aside = end - 7.0 * way, np.array([-way[1], way[0]])
    corners = [tip, tip - 14.0 * way + 7.0 * aside, tip - 14.0 * way - 7.0 * aside]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners) + "Z"
