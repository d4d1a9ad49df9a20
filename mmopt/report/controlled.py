"""Sections of the page about batches under control: one closed loop, and many with other noise."""

from mmopt.figures.campaigns import plot_campaign
from mmopt.figures.trajectories import plot_closed_loop
from mmopt.report import page
from mmopt.report.records import CampaignRecord, ClosedLoopRecord, Limit
from mmopt.report.run_folder import RunFolder
from mmopt.report.sections import picture
from mmopt.report.summary import RunSummary


def closed_loop(run: RunFolder) -> str:
    """Write the objective of the closed loop, what it is to be compared with, and its figure.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    str
        HTML; empty if there was no closed loop.
    """
    loop, body = run.summary.closed_loop, ""
    if loop is not None:
        body = _closed_loop_text(loop, run.summary)
    if run.closed_loop is None:
        return body
    caption = "The controlled plant and that of a controller that knows the plant; hatched bars are fallback steps."
    figure = plot_closed_loop(run.closed_loop, run.trajectories.get("reference"), run.limits, run.titles)
    body += picture(run, "closed_loop", figure, caption, {"closed loop": run.closed_loop.trajectory})
    if run.campaign is not None and loop is not None and loop.campaign is not None:
        unit = f" [{run.summary.objective_unit}]" if run.summary.objective_unit else ""
        titles = {**run.titles, "objective": f"{page.words(run.summary.objective)}{unit}"}
        figure = plot_campaign(run.campaign, limits=run.limits, titles=titles)
        body += _campaign_text(loop.campaign, run.summary)
        body += picture(run, "campaign", figure, f"{loop.campaign.batches} batches that differ in their noise.", {})
    return body


def _campaign_text(campaign: CampaignRecord, summary: RunSummary) -> str:
    unit = summary.objective_unit
    values = {
        f"{summary.objective}, lowest": page.amount(campaign.lowest, unit),
        "median": page.amount(campaign.median, unit),
        "highest": page.amount(campaign.highest, unit),
        "batches that violate a limit by more than 5 %": f"{campaign.violating} of {campaign.batches}",
        "largest violation": page.percent(campaign.worst_violation),
        "fallbacks": campaign.fallbacks,
        "median time of a step": page.amount(campaign.median_ms, "ms"),
        "99 % of the steps within": page.amount(campaign.late_ms, "ms"),
    }
    return f"<h3>{campaign.batches} batches</h3>" + page.facts(values)


def _closed_loop_text(loop: ClosedLoopRecord, summary: RunSummary) -> str:
    unit = summary.objective_unit
    disturbed = ", ".join(
        f"{page.text(page.words(n))} {page.amount(a.value, a.unit)}" for n, a in loop.disturbance.items()
    )
    limits = summary.problem.limits if summary.problem else {}
    aims = [f"{_range(name, aim)} (limit: {_range('', limits.get(name))})" for name, aim in loop.aimed_limits.items()]
    broken = ", ".join(f"{page.text(page.words(name))} by {page.percent(by)}" for name, by in loop.violations.items())
    values = {
        f"{summary.objective} of the closed loop": page.amount(loop.objective, unit),
        "controller that knows the plant": page.amount(loop.reference_objective, unit),
        "ratio of the two": page.percent(loop.ratio),
        "optimal feed, undisturbed plant": page.amount(loop.open_loop_objective, unit),
        "steps": loop.steps,
        "fallbacks": loop.fallbacks,
        "median time of a step": page.amount(loop.median_ms, "ms"),
        "longest step": page.amount(loop.worst_ms, "ms"),
        "limits violated on the plant": page.Html(broken or "none"),
    }
    body = f"<p>The plant differs from what the controller assumes: {disturbed}.</p>" if disturbed else ""
    if aims:
        body += f"<p>To keep the limits on a plant it does not know, the controller aims at {'; '.join(aims)}.</p>"
    return body + page.facts(values)


def _range(name: str, limit: Limit | None) -> str:
    """A limit in words."""
    if limit is None or (limit.lowest is None and limit.highest is None):
        return f"{page.text(page.words(name))} without limit".strip()
    low = "" if limit.lowest is None else f"at least {page.amount(limit.lowest, limit.unit)}"
    high = "" if limit.highest is None else f"at most {page.amount(limit.highest, limit.unit)}"
    return " ".join(filter(None, [page.text(page.words(name)), low, "and" if low and high else "", high]))
