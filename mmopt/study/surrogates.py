"""The stages of the surrogate: training, loading, and its errors at fresh points."""

from typing import Any, Final

import numpy as np

from mmopt.dataset.flux_table import FluxTable
from mmopt.dataset.tabulate import tabulate_fluxes
from mmopt.errors import StudyError
from mmopt.fba.domain import Domain
from mmopt.fba.rates import GROWTH
from mmopt.io.files import write_whole
from mmopt.network.network import Network
from mmopt.report.records import SurrogateRecord
from mmopt.report.run_folder import PARITY_FILE
from mmopt.study.run import Run
from mmopt.study.schema import Study
from mmopt.study.tables import FLUXES, compute_table, explored_atlas, table_of
from mmopt.surrogate.loading import load_surrogate
from mmopt.surrogate.soft_law import WHOLE, SoftLaw, soft_law
from mmopt.surrogate.surrogate import Surrogate
from mmopt.training.comparison import compare
from mmopt.training.worst_case_errors import with_error_report

_FRESH_POINTS: Final = 400
_FRESH_SEED: Final = 20260101
"""Seed of the points at which a surrogate is compared with the linear program; no training uses it."""

_TRAINED_HERE: Final = "trained in this run"

_ERROR_REPORT: Final = "error report"


def train_surrogate(study: Study, run: Run, table: FluxTable, *, iterations: int | None = None) -> Surrogate:
    """Train the surrogate of a study, compute its error report, and save it in the folder ``surrogate``.

    There is no error report where the domain has more critical regions than can be explored; the card then says so.

    Parameters
    ----------
    study
        The study.
    run
        Its run.
    table
        The fluxes to train with.
    iterations
        Iterations that differ from the study's.

    Returns
    -------
    Surrogate
        The surrogate.
    """
    from mmopt.training.train import train
    from mmopt.training.train_to_error import train_to_error

    settings = study.training
    most = settings.steps if iterations is None else iterations
    options: dict[str, Any] = {
        "hidden": settings.hidden,
        "activation": settings.activation,
        "basis": settings.basis,
        "trainer": settings.trainer,
        "switches": settings.switches,
        "starts": settings.starts,
        "iterations": most,
        "seed": settings.seed,
    }
    atlas = explored_atlas(run, table.network, table.domain)
    if atlas is None or settings.wanted is None:
        with run.stage("training", most) as progress:
            surrogate = train(table, **options, progress=progress)
    else:
        with run.stage("training", 1000) as progress:
            extended = table.extended(*atlas.corners())
            surrogate = train_to_error(atlas, wanted=settings.wanted, table=extended, **options, progress=progress)
    with run.stage(_ERROR_REPORT):
        if atlas is not None and surrogate.error_report is None:
            surrogate = with_error_report(surrogate, atlas)
        surrogate.save(run.folder / "surrogate")
    _describe(run, _TRAINED_HERE, surrogate)
    return surrogate


def soft_law_of(error: float, run: Run, network: Network, domain: Domain) -> SoftLaw:
    """Compute the soft law of a study from the critical regions of its domain.

    Parameters
    ----------
    error
        Largest error of any reading, as a fraction of its range.
    run
        The run.
    network, domain
        The network, and the domain of its uptake limits.

    Returns
    -------
    SoftLaw
        The law.

    Raises
    ------
    StudyError
        If the critical regions do not fill the domain.
    """
    atlas = explored_atlas(run, network, domain)
    if atlas is None or atlas.coverage < WHOLE:
        known = run.summary.atlas
        filled = (
            "" if known is None else f", but the {known.regions} that are known fill {known.coverage or 0.0:.1%} of it"
        )
        raise StudyError(
            f"a soft law needs all critical regions of the domain{filled}; make the domain smaller, use fewer inputs, or leave "
            "soft_law out to train a surrogate"
        )
    with run.stage("soft law"):
        law = soft_law(atlas, error=error)
    _describe(run, "soft law of the critical regions", law)
    return law


def surrogate_of(study: Study, run: Run, network: Network) -> Surrogate | SoftLaw:
    """Load the surrogate that a study names, else the one that was trained in this run folder; or compute its soft law.

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
    Surrogate or SoftLaw
        The surrogate.

    Raises
    ------
    StudyError
        If there is none, or it was trained with another network.
    """
    if study.soft_law is not None:
        return soft_law_of(study.soft_law, run, network, study.domain)
    if study.surrogate is not None:
        surrogate, name = load_surrogate(study.surrogate), study.surrogate
    elif (run.folder / "surrogate").is_dir():
        surrogate, name = load_surrogate(run.folder / "surrogate"), _TRAINED_HERE
    else:
        raise StudyError(
            "the study names no surrogate and none was trained in this folder; run with --fresh, or train one"
        )
    if surrogate.card.get("network_hash") != network.hash:
        raise StudyError(f"surrogate '{name}' was trained with another network than {network.name}; run with --fresh")
    _describe(run, name, surrogate)
    return surrogate


def fresh_or_known_surrogate(study: Study, run: Run, network: Network, fresh: bool) -> Surrogate | SoftLaw:
    """Train a surrogate on new fluxes, or load the known one, or compute the soft law of a study.

    Parameters
    ----------
    study
        The study.
    run
        Its run.
    network
        Its network.
    fresh
        Whether to train anew, whatever surrogate the study names.

    Returns
    -------
    Surrogate or SoftLaw
        The surrogate.
    """
    if fresh and study.soft_law is None:
        if run.has_done(_ERROR_REPORT):  # before an interruption
            return _trained_here(run)
        tabulated = table_of if run.has_done(FLUXES) else compute_table
        return train_surrogate(study, run, tabulated(study, run, network))
    return surrogate_of(study, run, network)


def compare_at_fresh_points(run: Run, network: Network, surrogate: Surrogate | SoftLaw) -> None:
    """Compare the surrogate with the linear program at points that were not used for training.

    Parameters
    ----------
    run
        The run; gets ``parity.npz``, and the errors in its summary.
    network
        The network.
    surrogate
        The surrogate.
    """
    with run.stage("surrogate at fresh points", _FRESH_POINTS) as progress:
        table = tabulate_fluxes(network, surrogate.domain, _FRESH_POINTS, _FRESH_SEED, progress=progress).only_solved()
        errors = compare(surrogate, network, table.inputs, table.fluxes)
        names = [GROWTH, *surrogate.inputs]
        columns = [network.column(network.biomass), *(network.column(name) for name in surrogate.inputs)]
        predicted = surrogate.predict(table.inputs, names)
        arrays = {f"true_{name}": table.fluxes[:, column] for name, column in zip(names, columns, strict=True)}
        arrays.update({f"predicted_{name}": predicted[:, k] for k, name in enumerate(names)})
        write_whole(
            run.folder / PARITY_FILE,
            lambda temporary: np.savez_compressed(temporary, allow_pickle=False, **arrays),
        )
        known = run.summary.surrogate
        if known is not None:
            run.record(surrogate=SurrogateRecord(name=known.name, card=known.card, fresh_points=errors))


def _trained_here(run: Run) -> Surrogate:
    surrogate = load_surrogate(run.folder / "surrogate")
    _describe(run, _TRAINED_HERE, surrogate)
    return surrogate


def _describe(run: Run, name: str, surrogate: Surrogate | SoftLaw) -> None:
    run.record(surrogate=SurrogateRecord(name=name, card=dict(surrogate.card)))
