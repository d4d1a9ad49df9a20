"""The stage that tabulates fluxes, and the critical regions that it may use."""

from mmopt.dataset.flux_table import FluxTable, load_table
from mmopt.dataset.tabulate import tabulate_fluxes, worthwhile_workers
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.fba.flux_program import FluxProgram
from mmopt.network.network import Network
from mmopt.report.records import AtlasRecord
from mmopt.sensitivity.coverage import is_explored
from mmopt.study.run import TABLE_FILE, Run
from mmopt.study.schema import Study

_POINTS_PER_REGION = 6
"""Points that the flux program solves in the time in which the atlas finds one more critical region."""

_EXPLORABLE = 2_000
"""Critical regions up to which a domain is explored for an error report: about a minute with iJO1366."""

FLUXES = "fluxes"
"""The stage."""

JOURNAL_FILE = "fluxes.journal"


def compute_table(
    study: Study, run: Run, network: Network, *, workers: int | None = None, scheduler: str | None = None
) -> FluxTable:
    """Tabulate the fluxes of a study, and save them as ``fluxes.nc``.

    Finished points stay in ``fluxes.journal`` until the table is saved; after an interruption the next call continues
    from there.

    Parameters
    ----------
    study
        The study.
    run
        Its run.
    network
        Its network.
    workers
        Number of processes; by default as many as there are cores and work is worth.
    scheduler
        Address of a running Dask scheduler, whose workers solve instead.

    Returns
    -------
    FluxTable
        The table.
    """
    settings, journal = study.table, run.folder / JOURNAL_FILE
    source = _source(study, run, network)
    if workers is None:  # an atlas computes faster than processes start
        workers = 1 if scheduler or settings.source == "atlas" else worthwhile_workers(settings.size)
    with run.stage(FLUXES, settings.size) as progress:
        table = tabulate_fluxes(
            network,
            study.domain,
            settings.size,
            settings.seed,
            source=source,
            workers=workers,
            scheduler=scheduler,
            journal=journal,
            progress=progress,
        )
        table.save(run.folder / TABLE_FILE)
        journal.unlink()
    return table


def table_of(study: Study, run: Run, network: Network) -> FluxTable:
    """Load the flux table of a run folder, if it is that of the study; else compute it.

    Parameters
    ----------
    study
        The study.
    run
        Its run.
    network
        Its network.

    Returns
    -------
    FluxTable
        The table.
    """
    path = run.folder / TABLE_FILE
    if path.is_file():
        table = load_table(path, network)
        settings = study.table
        if (table.domain, len(table), int(table.data.attrs["seed"])) == (study.domain, settings.size, settings.seed):
            return table
    return compute_table(study, run, network)


def explored_atlas(run: Run, network: Network, domain: Domain) -> Atlas | None:
    """Explore the critical regions of a domain.

    Parameters
    ----------
    run
        The run; an atlas that it has explored before is used again.
    network, domain
        The network, and the domain of its uptake limits.

    Returns
    -------
    Atlas or None
        An atlas that covers what has a solution; None where that takes too many critical regions.
    """
    atlas = run.atlas
    if atlas is None or atlas.domain != domain or atlas.network.hash != network.hash:
        atlas = Atlas(network, domain)
    if not is_explored(atlas):
        _explore(run, atlas, _EXPLORABLE)
    _record(run, atlas)
    return atlas if is_explored(atlas) else None


def _source(study: Study, run: Run, network: Network) -> Atlas | FluxProgram:
    """The flux program, or an atlas explored as far as that saves work."""
    settings = study.table
    if settings.source == "program":
        return FluxProgram(network, study.domain.inputs)
    atlas = Atlas(network, study.domain)
    _explore(run, atlas, max(1, settings.size // _POINTS_PER_REGION))
    _record(run, atlas)
    return atlas


def _explore(run: Run, atlas: Atlas, most: int) -> None:
    with run.stage("critical regions", 1000) as progress:
        atlas.explore(most=most, progress=progress)


def _record(run: Run, atlas: Atlas) -> None:
    run.atlas = atlas
    run.record(atlas=AtlasRecord(regions=len(atlas.regions), coverage=atlas.coverage))
