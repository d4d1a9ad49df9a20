"""One way to compute digests: files and hashes that exist keep theirs, and whatever decides a content changes it."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mmopt.dataset import load_table
from mmopt.errors import StudyError
from mmopt.io.parquet import read_parquet, write_parquet
from mmopt.io.seal import check_seal, digest, digest_arrays, digest_facts, seal
from mmopt.network import Network
from mmopt.surrogate import load_surrogate

ARRAYS = {"modes": np.arange(6.0).reshape(2, 3), "used": np.array([0, 4])}


def test_digest_of_several_contents_is_that_of_their_bytes() -> None:
    array = np.arange(6.0).reshape(2, 3)
    expected = hashlib.sha256("µ".encode() + b"\0" + array.tobytes()).hexdigest()
    assert digest("µ", b"\0", array) == expected


def test_digest_of_an_array_does_not_depend_on_its_layout() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert digest(np.asfortranarray(array)) == digest(array) == digest(np.repeat(array, 2, axis=0)[::2])


@pytest.mark.parametrize("array", [np.zeros(0), np.array(3.0), np.array(["a", "bc"]), np.array([True, False])])
def test_digest_of_any_plain_array_is_that_of_its_bytes(array: np.ndarray) -> None:
    assert digest(array) == hashlib.sha256(array.tobytes()).hexdigest()


@pytest.mark.parametrize(
    "changed",
    [
        {"modes": ARRAYS["modes"]},
        {**ARRAYS, "used": np.array([0, 5])},
        {**ARRAYS, "used": np.array([0.0, 4.0])},
        {**ARRAYS, "modes": ARRAYS["modes"].reshape(3, 2)},
        {"mode": ARRAYS["modes"], "used": ARRAYS["used"]},
    ],
)
def test_digest_of_arrays_covers_names_types_shapes_and_numbers(changed: dict[str, np.ndarray]) -> None:
    assert digest_arrays(changed) != digest_arrays(ARRAYS)


def test_digest_of_facts_is_that_of_their_sorted_json() -> None:
    facts = {"seed": "3", "chunk": "64"}
    assert digest_facts(facts) == hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def test_shipped_surrogate_knows_its_network_by_the_same_hash(ijo1366: Network) -> None:
    assert load_surrogate("ecoli_ijo1366").card["network_hash"] == ijo1366.hash


def test_seal_of_an_existing_file_does_not_change() -> None:
    line = b"\nmmopt wrote this; SHA-256 of all before this line: " + hashlib.sha256(b"content").hexdigest().encode()
    assert seal(b"content") == line


@pytest.mark.parametrize("raw", [b"", b"content", b"content" + seal(b"contents")])
def test_content_without_its_seal_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="its checksum is missing or wrong"):
        check_seal(raw, sealed=True)


def test_content_that_needs_no_seal_may_have_none() -> None:
    check_seal(b"content", sealed=False)


def test_missing_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = r'Parquet files need the package pyarrow, which is missing: pip install "mmopt\[parquet\]"'
    with pytest.raises(StudyError, match=message):
        write_parquet(xr.Dataset(), tmp_path / "a.parquet", {})
    with pytest.raises(StudyError, match=message):
        read_parquet(tmp_path / "a.parquet", {})


def test_rows_of_a_parquet_file_may_have_any_name(tmp_path: Path) -> None:
    names = {"reaction": ["PFK", "PGI"]}
    data = xr.Dataset({"net": (("point", "reaction"), np.arange(6.0).reshape(3, 2))}, coords=names)
    dimensions = {"net": ("point", "reaction")}
    write_parquet(data, tmp_path / "a.parquet", dimensions)
    assert read_parquet(tmp_path / "a.parquet", dimensions)["net"].values.tolist() == data["net"].values.tolist()


def test_loaded_table_without_pyarrow_names_the_extra(
    textbook: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fluxes.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StudyError, match=r"^Parquet files need the package pyarrow"):
        load_table(path, textbook)
