"""A whole study, from the network to the report; what ``mmopt run`` does.

Every stage writes its results into the run folder at once. A run that was interrupted, or killed, continues: what has its
results is not computed again.
"""

from mmopt.fba.atlas import Atlas
from mmopt.report.summary import RunSummary
from mmopt.report.write import write_report
from mmopt.study.closed_loops import run_closed_loops
from mmopt.study.description import describe_network, describe_study, mark_of
from mmopt.study.feeds import compare_feeds, search_simple_feeds
from mmopt.study.plans import plan_and_replay
from mmopt.study.run import Run
from mmopt.study.schema import Study
from mmopt.study.starvation import simulate_starvation
from mmopt.study.surrogates import compare_at_fresh_points, fresh_or_known_surrogate


def run_study(study: Study, run: Run, *, fresh: bool = False) -> RunSummary:
    """Compute everything that a study contains, and write the report.

    Parameters
    ----------
    study
        The study.
    run
        The run; results of earlier runs in its folder are replaced, but for those of an interrupted run of the same study.
    fresh
        Whether to tabulate fluxes and train a surrogate anew, whatever the study names.

    Returns
    -------
    RunSummary
        The results.

    Raises
    ------
    MmoptError
        If a stage fails; the folder keeps what was computed before.

    Examples
    --------
    Computing takes about a minute::

        study = read_study("case_studies/ecoli_fedbatch/study.yaml")
        summary = run_study(study, open_run("runs/ecoli", study.title))
        print(summary.row("optimum").reference)

    >>> run_study.__name__
    'run_study'
    """
    problem = study.problem
    mark = mark_of(study, fresh)
    if run.summary.unfinished != mark:
        run.summary = RunSummary(title=study.title)
        run.record(**describe_study(study.title, problem), unfinished=mark)
    with run.stage("network"):
        network = study.read_network()
        run.record(network=describe_network(network))
    surrogate = fresh_or_known_surrogate(study, run, network, fresh)
    atlas = Atlas(network, surrogate.domain)
    # the simple feeds need nothing of the other stages, so the second core searches for them meanwhile
    with search_simple_feeds(problem, atlas) as searches:
        compare_at_fresh_points(run, network, surrogate)
        if study.starvation is not None and run.summary.starvation is None:
            simulate_starvation(study.starvation, run, problem, surrogate, atlas)
        if run.summary.row("optimum") is None:
            plan_and_replay(run, problem, surrogate, atlas)
        if study.closed_loop is not None and run.summary.closed_loop is None:
            run_closed_loops(study.closed_loop, run, problem, surrogate, atlas)
        compare_feeds(run, problem, searches)
    with run.stage("report"):
        write_report(run.folder)
    run.record(unfinished=None)
    return run.summary
