"""The examination of an installation names what is missing, and what it would be for."""

import pytest

from mmopt import doctor
from mmopt.doctor import examine


def test_this_installation_is_good() -> None:
    assert [finding for finding in examine() if not finding[2]] == []


@pytest.mark.parametrize(("package", "extra"), [("distributed", "cluster"), ("pyarrow", "parquet"), ("onnx", "onnx")])
def test_missing_optional_package_is_named_with_its_extra(
    package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == package else "1.0")
    monkeypatch.setattr(doctor, "_linear_solvers", lambda: ["mumps"])
    findings = {what: (result, good) for what, result, good in examine()}
    result, good = findings[f"{package} (optional)"]
    assert good
    assert f"mmopt[{extra}]" in result


def test_missing_package_is_no_good_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "casadi" else "1.0")
    monkeypatch.setattr(doctor, "_linear_solvers", lambda: ["mumps"])
    assert ("casadi", "missing; install mmopt again", False) in list(examine())


def test_tensorflow_is_needed_for_exports_and_one_trainer_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: None if name.startswith("tensorflow") else "1.0")
    monkeypatch.setattr(doctor, "_linear_solvers", lambda: ["mumps"])
    finding = next(finding for finding in examine() if finding[0].startswith("tensorflow"))
    assert finding[2]
    assert "exports" in finding[0]
    assert "everything else works" in finding[1]
