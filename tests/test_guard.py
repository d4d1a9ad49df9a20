"""Files that would end the process, exhaust its memory or keep it busy are refused, in words, before cobra is met."""

import gzip
import random
import re
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import cobra
import numpy as np
import pytest
from cobra.io import load_json_model, save_matlab_model
from scipy.io import savemat

from mmopt.errors import NetworkError
from mmopt.io.guard import check_json, check_sbml
from mmopt.network import read_network
from mmopt.network.matlab import check_mat

PACKED = files("cobra.data").joinpath("textbook.xml.gz").read_bytes()
SBML = gzip.decompress(PACKED)
OPENING = b'<?xml version="1.0"?><sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1">'
MEGABYTE = 2**20

# ru_maxrss of a child starts from that of the process that made it; the high-water mark of its own memory does not
SCRIPT = """
import resource, sys
from mmopt.errors import NetworkError
from mmopt.network import read_network
try:
    read_network(sys.argv[1])
except NetworkError as error:
    status = open("/proc/self/status").read()
    peak = int(status.partition("VmHWM:")[2].split()[0])
    print(min(peak, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss), "cobra" in sys.modules, error)
"""


def packed(*pieces: bytes, repeat: int = 1) -> bytes:
    """The first piece once, the second many times, gzipped without ever standing in memory."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    first, rest = (deflate.compress(pieces[0]), (deflate.compress(pieces[1]) for _ in range(repeat)))
    return b"".join([first, *rest, deflate.flush()])


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def array(kind: int, dimensions: tuple[int, ...], content: bytes, flags: int = 0) -> bytes:
    """One array of MATLAB's format: its class, dimensions, empty name and content."""
    shape = struct.pack(f"<{len(dimensions)}i", *dimensions)
    head = element(6, struct.pack("<II", kind | flags, 0)) + element(5, shape) + element(1, b"")
    return element(14, head + content)


def mat(*variables: bytes, level: int = 1) -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + bytes([0, level]) + b"IM" + b"".join(variables)


NUMBER = array(6, (1, 1), element(9, struct.pack("<d", 1.0)))
CELL, STRUCTURE, OBJECT, TEXT, SPARSE, HANDLE = 1, 2, 3, 4, 5, 16


def nested_cells(depth: int) -> bytes:
    head = struct.pack("<II", 14, 48) + element(6, struct.pack("<II", CELL, 0)) + element(5, struct.pack("<ii", 1, 1))
    deep = (head + element(1, b"")) * depth + NUMBER
    return mat(struct.pack("<II", 14, len(deep) - 8) + deep[8:])


def sparse(rows: list[int], starts: list[int], shape: tuple[int, int] = (2, 2)) -> bytes:
    indices = [element(5, struct.pack(f"<{len(values)}i", *values)) for values in (rows, starts)]
    return mat(array(SPARSE, shape, b"".join(indices) + element(9, struct.pack(f"<{len(rows)}d", *rows))))


def inflating(size: int) -> bytes:
    deflate = zlib.compressobj(9)
    head = struct.pack("<II", 14, size) + array(6, (size // 8, 1), b"")[8:] + struct.pack("<II", 9, size)
    pieces = [deflate.compress(head), *(deflate.compress(bytes(MEGABYTE)) for _ in range(size // MEGABYTE))]
    content = b"".join([*pieces, deflate.flush()])
    return mat(struct.pack("<II", 15, len(content)) + content)


HOSTILE = {
    "deep.xml": (lambda: OPENING + b"<a>" * 200_000, "nests more than 100 deep"),
    "entities.xml": (lambda: b'<?xml version="1.0"?><!DOCTYPE sbml [<!ENTITY a "a">]><sbml>&a;</sbml>', "the DOCTYPE"),
    "flat.xml": (lambda: OPENING + b"<b/>" * (12 * MEGABYTE), "more than 2,000,000 elements"),
    "remark.xml": (lambda: OPENING + b"<!--" + b"x" * (48 * MEGABYTE), "one tag or remark has more than 4 MB"),
    "blank.xml.gz": (lambda: packed(OPENING, bytes(b" " * MEGABYTE), repeat=256), "inflates to more than 100 times"),
    "zeros.xml.gz": (lambda: packed(b"", bytes(MEGABYTE), repeat=256), "is not SBML"),
    "deep.json": (lambda: b'{"reactions": ' + b"[" * 200_000, "nests more than 100 deep"),
    "flat.json": (lambda: b'{"reactions": [' + b"[]," * (16 * MEGABYTE), "more than 2,000,000 elements"),
    "blank.json.gz": (lambda: packed(b'{"a": ', b" " * MEGABYTE, repeat=256), "inflates to more than 100 times"),
    "deep.mat": (lambda: nested_cells(100_000), "nests more than 100 deep"),
    "claim.mat": (lambda: mat(array(CELL, (2**31 - 1, 1), NUMBER)), "an array claims 2,147,483,647 elements"),
    "text.mat": (lambda: mat(array(TEXT, (2**31 - 1, 1), element(1, b""))), "texts have more than 33,554,432"),
    "cells.mat": (lambda: mat(array(CELL, (4 * MEGABYTE, 1), b"\x0e" + bytes(32 * MEGABYTE))), "2,000,000 elements"),
    "inflating.mat": (lambda: inflating(256 * MEGABYTE), "inflates to more than 100 times"),
    "kind.mat": (lambda: mat(array(6, (1, 1), element(50_000, bytes(8)))), "no type 50000 of data"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_refused_in_little_memory_before_cobra_is_met(tmp_path: Path, name: str) -> None:
    content, message = HOSTILE[name]
    (tmp_path / name).write_bytes(content())
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    kilobytes, met_cobra, refused = done.stdout.split(maxsplit=2)
    assert message in refused
    assert met_cobra == "False"
    assert int(kilobytes) < 500 * 1024


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(NetworkError) as caught:
        read_network(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xml", b"", "is empty"),
        ("a.xml.gz", b"", "is empty"),
        ("a.xml.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("a.xml", b"  \n\n", "is empty"),
        ("a.json", b"", "is empty"),
        ("a.mat", b"", "is empty"),
        ("a.xml", b"reaction\tlower\tupper\n", "is not SBML"),
        ("a.xml", b"<!DOCTYPE html><html><body>404</body></html>", "is not SBML"),
        ("a.xml", b"<?xml version='1.0'?><plist><dict/></plist>", "is not SBML"),
        ("a.xml", PACKED, "is not SBML"),
        ("a.xml", bytes(range(256)), "is not SBML"),
        ("a.xml", SBML[: len(SBML) // 2], "cannot be read as SBML"),
        ("a.xml", b"<?xml version='1.0'?><!-- <sbml --><list/>", "cannot be read as SBML"),
        ("a.xml", OPENING + b"<a></b></sbml>", "mismatched tag"),
        ("a.xml", OPENING, "no element found"),
        ("a.xml.gz", SBML, "cannot be read"),
        ("a.json", SBML, "is no network in JSON"),
        ("a.json", b"[1, 2]", "is no network in JSON"),
        ("a.json", b'{"reactions": [', "cannot be read as JSON"),
        ("a.json", b'{"reactions": "\xff"}', "cannot be read as JSON"),
        ("a.json.gz", b"{}", "cannot be read"),
        ("a.mat", SBML, "is not a MATLAB file"),
        ("a.mat", mat(NUMBER)[:-8], "is a damaged MATLAB file: it ends too early"),
        ("a.mat", mat(NUMBER, b"\x0e"), "is a damaged MATLAB file"),
        ("a.mat", mat(NUMBER), "holds no structure with the fields S, lb, mets, rxns, ub"),
        ("a.mat", mat(level=2), "is a MATLAB file of version 7.3, which cobra cannot read; save it with '-v7'"),
        ("a.mat", mat(element(15, zlib.compress(NUMBER)[:-4])), "a variable ends too early"),
        ("a.mat", mat(element(15, zlib.compress(NUMBER)[:-4] + bytes(4))), "incorrect data check"),
    ],
)
def test_bad_file_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    refused = refusal(tmp_path / name, content)
    assert message in refused
    assert "\n" not in refused


@pytest.mark.parametrize("suffix", [".xml", ".json", ".mat"])
def test_file_larger_than_any_network_is_refused(tmp_path: Path, suffix: str) -> None:
    with (tmp_path / f"a{suffix}").open("wb") as file:
        file.truncate(129 * MEGABYTE)  # holes, which take no room
    with pytest.raises(NetworkError, match="holds more than 128 MB"):
        read_network(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("missing", [1, 4, 8, 9, len(PACKED) // 2, len(PACKED) - 200])
def test_gzip_that_ends_early_is_refused(tmp_path: Path, missing: int) -> None:
    assert "cannot be read (Compressed file ended" in refusal(tmp_path / "a.xml.gz", PACKED[:-missing])


def test_gzip_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    assert "CRC check failed" in refusal(tmp_path / "a.xml.gz", PACKED[:-8] + bytes(4) + PACKED[-4:])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (mat(array(HANDLE, (1, 1), NUMBER)), "it holds a function handle"),
        (mat(array(OBJECT, (1, 1), NUMBER)), "it holds an object"),
        (mat(array(99, (1, 1), NUMBER)), "neither of real numbers"),
        (mat(array(6, (1, 1), element(9, bytes(8)) * 2, flags=1 << 11)), "neither of real numbers"),
        (mat(array(6, (-1, 1), element(9, bytes(8)))), "the size of an array makes no sense"),
        (mat(array(6, (1,), element(9, bytes(8)))), "the size of an array makes no sense"),
        (mat(array(6, (1, 1), struct.pack("<HH", 9, 8) + bytes(8))), "8 bytes stand where 4 have room"),
        (mat(array(STRUCTURE, (1, 1), element(5, bytes(4)) + element(1, b"a"))), "names of a structure's fields"),
        (mat(array(STRUCTURE, (1, 1), element(5, b"\1\0\0\0") + element(1, b"a" * 2000))), "structure's fields"),
        (mat(array(CELL, (1, 1), element(9, bytes(8)))), "type 9 stands where an array should"),
        (sparse([0, 2], [0, 1, 2]), "rows outside of it"),
        (sparse([0, -1], [0, 1, 2]), "rows outside of it"),
        (sparse([0, 1], [0, 1, 9]), "columns of a sparse array do not follow"),
        (sparse([0, 1], [0, 2, 1]), "columns of a sparse array do not follow"),
        (sparse([0, 1], [0, 1]), "columns of a sparse array do not follow"),
    ],
)
def test_claim_of_a_matlab_file_that_is_not_kept_is_reported(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in refusal(tmp_path / "a.mat", content)


@pytest.mark.parametrize("compressed", [False, True])
def test_sound_matlab_file_passes(tmp_path: Path, compressed: bool) -> None:
    content = {"cells": np.array(["a", ""], dtype=object), "n": np.eye(3), "logical": True, "none": np.zeros((0, 3))}
    savemat(tmp_path / "a.mat", {**content, "inside": content}, do_compression=compressed)
    check_mat(tmp_path / "a.mat")


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The smallest network of cobra as a MATLAB file."""
    path = tmp_path_factory.mktemp("mat") / "mini.mat"
    source: cobra.Model = load_json_model(str(files("cobra.data").joinpath("mini.json")))
    source.objective = "PFK"
    save_matlab_model(source, str(path))
    return path.read_bytes()


@pytest.mark.parametrize("seed", range(40))
def test_damaged_matlab_file_is_read_or_refused(tmp_path: Path, mini: bytes, seed: int) -> None:
    damaged, chance = bytearray(mini), random.Random(seed)
    for _ in range(3):
        damaged[chance.randrange(128, len(mini))] = chance.choice([0, 1, 5, 14, 127, 255])
    (tmp_path / "a.mat").write_bytes(damaged)
    with suppress(NetworkError):
        read_network(tmp_path / "a.mat")


@pytest.mark.parametrize("depth", [99, 101])
def test_nesting_counts_outside_of_texts_alone(tmp_path: Path, depth: int) -> None:
    text = rb'"[[[[{{{{ \" [[ \\", "\\\"[[[",' * 50
    content = b'{"a": [' + text * 2**10 + b"[" * (depth - 2) + b"]" * (depth - 2) + b"]}"
    (tmp_path / "a.json").write_bytes(content)
    if depth <= 100:
        check_json(tmp_path / "a.json")
    else:
        with pytest.raises(NetworkError, match="nests more than 100 deep"):
            check_json(tmp_path / "a.json")


@pytest.mark.parametrize("start", range(6))
def test_escape_across_pieces_is_read_as_one(tmp_path: Path, start: int) -> None:
    first = b'{"a": "' + b"x" * (MEGABYTE - 10 + start) + rb"\\\"\\\""  # pieces of a megabyte end within the escapes
    (tmp_path / "a.json").write_bytes(first + b"[" * 200 + b'"}')
    check_json(tmp_path / "a.json")


def test_file_in_latin_1_passes(tmp_path: Path) -> None:
    content = SBML.replace(b"UTF-8", b"ISO-8859-1", 1).replace(b"acetaldehyde", b"ac\xe9tald\xe9hyde", 1)
    (tmp_path / "a.xml").write_bytes(content)
    check_sbml(tmp_path / "a.xml")


def test_refusal_says_what_to_do(tmp_path: Path) -> None:
    refused = refusal(tmp_path / "a.xml", OPENING + b"<a>" * 101)
    assert re.search(r"a\.xml is refused: .*, which no metabolic network does; give a file without such notes", refused)
