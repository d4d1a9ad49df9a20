"""What a run folder contains: its summary, its trajectories, fluxes inside the cell, and predictions at fresh points."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr

from mmopt.control.campaign import Campaign, load_campaign
from mmopt.control.closed_loop import ClosedLoop, load_closed_loop
from mmopt.errors import StudyError, first_line
from mmopt.io.files import write_whole
from mmopt.io.netcdf import read_netcdf, write_netcdf
from mmopt.pathways import PATHWAYS, shown_reactions
from mmopt.pathways.flux_map import mapped_reactions
from mmopt.report.page import words
from mmopt.report.records import Limit
from mmopt.report.summary import RunSummary, read_summary
from mmopt.results import Trajectory, load_trajectory

TRAJECTORIES: Final = (
    *("optimum", "resimulation", "replay", "constant", "exponential"),
    *("closed_loop", "reference", "starvation_lp", "starvation_surrogate"),
)
"""Names of the trajectories that a run saves, as ``<name>.nc``."""

FLUXES: Final = ("fluxes_plan", "fluxes_starvation")
"""Names of the fluxes inside the cell that a run saves, as ``<name>.nc``."""

CAMPAIGN_FILE: Final = "campaign.nc"

PARITY_FILE: Final = "parity.npz"


@dataclass(frozen=True)
class RunFolder:
    """The saved results of a run, as far as they exist.

    Attributes
    ----------
    folder
        The folder.
    summary
        Its ``summary.json``.
    trajectories
        Trajectories by name, see `TRAJECTORIES`.
    parity
        Arrays ``true_<output>`` and ``predicted_<output>`` at fresh points.
    closed_loop
        The closed loop.
    campaign
        The same loop with other noise, many times.
    fluxes
        Fluxes of the pathways by name, see `FLUXES`, and by name of the cell.

    Examples
    --------
    >>> RunFolder(Path("runs/a"), RunSummary(title="A"), {}, {}).renamed(optimum="plan")
    {}
    """

    folder: Path
    summary: RunSummary
    trajectories: Mapping[str, Trajectory]
    parity: Mapping[str, np.ndarray]
    closed_loop: ClosedLoop | None = None
    campaign: Campaign | None = None
    fluxes: Mapping[str, Mapping[str, xr.DataArray]] = field(default_factory=dict)

    def renamed(self, **names: str) -> dict[str, Trajectory]:
        """Select trajectories that were saved.

        Parameters
        ----------
        names
            Name for the legend by saved name.

        Returns
        -------
        dict
            Trajectories by their name in the legend.
        """
        return {title: self.trajectories[name] for name, title in names.items() if name in self.trajectories}

    @property
    def limits(self) -> dict[str, tuple[float | None, float | None]]:
        """Lowest and highest allowed value by quantity."""
        known: Mapping[str, Limit] = self.summary.problem.limits if self.summary.problem else {}
        return {name: (limit.lowest, limit.highest) for name, limit in known.items()}

    @property
    def titles(self) -> dict[str, str]:
        """Titles of panels: names without underscores, and readable names beside identifiers."""
        known = {str(name) for trajectory in self.trajectories.values() for name in trajectory.data.data_vars}
        plain = {name: words(name) for name in known}
        return plain | {identifier: f"{name} ({identifier})" for identifier, name in self.summary.names.items()}


def read_run(folder: str | Path) -> RunFolder:
    """Read the results that a run saved.

    Parameters
    ----------
    folder
        The run folder.

    Returns
    -------
    RunFolder
        What it contains.

    Raises
    ------
    StudyError
        If ``summary.json`` is missing or malformed, or a saved file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = RunSummary(title="A first run").write(folder)
    ...     read_run(folder).summary.title
    'A first run'
    """
    folder = Path(folder)
    summary = read_summary(folder)
    files = {name: folder / f"{name}.nc" for name in TRAJECTORIES}
    trajectories = {name: load_trajectory(file) for name, file in files.items() if file.exists()}
    loop = load_closed_loop(files["closed_loop"]) if "closed_loop" in trajectories else None
    campaign = load_campaign(folder / CAMPAIGN_FILE) if (folder / CAMPAIGN_FILE).exists() else None
    saved = {name: folder / f"{name}.nc" for name in FLUXES}
    fluxes = {name: _read_fluxes(file) for name, file in saved.items() if file.exists()}
    return RunFolder(folder, summary, trajectories, _read_parity(folder / PARITY_FILE), loop, campaign, fluxes)


def save_fluxes(path: Path, fluxes: Mapping[str, xr.DataArray]) -> None:
    """Save the fluxes of the pathways; nothing where the network has none of their reactions.

    Parameters
    ----------
    path
        The file.
    fluxes
        What `Trajectory.fluxes` returns, by name of the cell, of one trajectory and network.
    """
    known = next(iter(fluxes.values())).reaction.values
    chosen = list(dict.fromkeys(name for pathway in PATHWAYS for name in shown_reactions(pathway, known)))
    chosen += [reaction for reaction in mapped_reactions(known) if reaction not in chosen]
    if chosen:
        shown = {name: one.sel(reaction=chosen).reset_coords(drop=True) for name, one in fluxes.items()}
        write_whole(path, lambda file: write_netcdf(xr.Dataset(shown), file))


def _read_fluxes(path: Path) -> dict[str, xr.DataArray]:
    try:
        data = read_netcdf(path, sealed=True)
        return {str(name): data[name].transpose("reaction", "time") for name in data.data_vars}
    except Exception as error:  # a damaged file fails in many ways; all mean the same to a user
        raise StudyError(f"{path} is not a file of fluxes ({first_line(error)}); run the study again") from error


def _read_parity(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        return {}
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise StudyError(
            f"{path} is not a table of predictions at fresh points ({error}); run the study again"
        ) from error
