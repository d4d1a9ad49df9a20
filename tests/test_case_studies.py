"""Case studies run, and their assertions hold; the slow ones have files of their own."""

import runpy
from pathlib import Path

import pytest

from mmopt import Atlas, Domain, Network
from mmopt.network import set_bounds

STUDIES = Path(__file__).parents[1] / "case_studies"

pytestmark = pytest.mark.pages


def test_modes_of_operation_do_what_theory_says() -> None:
    results = runpy.run_path(str(STUDIES / "modes" / "modes.py"))["main"]()
    assert results["states"][1.2] is None
    late, early = results["protein"]
    assert late > early


def test_glucose_goes_before_xylose_at_about_the_published_time(ijo1366: Network) -> None:
    """With oxygen 7.00 h and 6.29 g/L of biomass, by an integration of iJR904 with the same uptake laws."""
    study = runpy.run_path(str(STUDIES / "diauxic_batch" / "batch.py"))
    network = set_bounds(ijo1366, {study["OXYGEN"]: (-study["AERATED"], 1000.0)})
    cell = Atlas(network, Domain({study["GLUCOSE"]: (0.0, 10.5), study["XYLOSE"]: (0.0, 6.0)}))
    run = study["until_gone"](cell, "glucose")
    assert abs(run.time[-1] - 7.0) < 1.0
    assert abs(run.final("biomass") - 6.29) < 1.0
    assert run.final("xylose") > 7.0
