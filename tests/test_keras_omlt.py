"""The case study from a flux problem in Pyomo to a controller, by Keras and OMLT, runs and its assertions hold."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "case_studies" / "keras_omlt" / "route.py"


@pytest.mark.pages
@pytest.mark.slow
def test_route_from_pyomo_through_keras_and_omlt_to_a_controller_holds() -> None:
    route = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=300.0, check=False)
    assert route.returncode == 0, route.stderr
    assert "closed loop" in route.stdout
