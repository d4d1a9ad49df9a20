"""A surrogate's files bring back every bit of it, and whatever else stands in such files is refused, never run."""

import hashlib
import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmopt.errors import SurrogateError
from mmopt.surrogate.loading import load_surrogate
from mmopt.surrogate.surrogate import ACTIVATIONS, Surrogate
from mmopt.surrogate.surrogate_file import shipped_surrogates
from tests.networks import small_surrogate, uniform

Arrays = dict[str, Any]
AGAIN = "; train it again$"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    small_surrogate().save(tmp_path / "cell")
    return tmp_path / "cell"


def parts(surrogate: Surrogate) -> list[np.ndarray]:
    layers = (*surrogate.hidden, surrogate.weights)
    return [surrogate.modes, surrogate.offset, *(part for layer in layers for part in (layer.weights, layer.bias))]


def refused(folder: Path, reason: str) -> None:
    with pytest.raises(SurrogateError, match=reason):
        load_surrogate(folder)


def told(folder: Path) -> Arrays:
    return dict(json.loads((folder / "surrogate.json").read_text()))


def describe(folder: Path, **changed: object) -> Path:
    """Change facts and seal them anew, as somebody who means harm would."""
    facts = {**told(folder), **changed}
    if "sha256" not in changed:
        with np.load(folder / "arrays.npz") as file:
            facts["sha256"] = digest(facts, dict(file))
    (folder / "surrogate.json").write_text(json.dumps(facts))
    return folder


def digest(facts: Arrays, arrays: Arrays) -> str:
    """The documented hash, written down a second time."""
    found = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    covered = {name: value for name, value in facts.items() if name != "sha256"}
    return hashlib.sha256((json.dumps(covered, sort_keys=True) + found.hexdigest()).encode()).hexdigest()


def with_arrays(folder: Path, change: Callable[[Arrays], object]) -> Path:
    """Change arrays and seal them anew, as somebody who means harm would."""
    with np.load(folder / "arrays.npz") as file:
        arrays = dict(file)
    change(arrays)
    np.savez(folder / "arrays.npz", **arrays)
    return describe(folder)


def with_members(folder: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    with zipfile.ZipFile(folder / "arrays.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(folder / "arrays.npz", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return folder


# what is saved comes back


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_saved_surrogate_comes_back_to_the_last_bit(tmp_path: Path, activation: str) -> None:
    written = small_surrogate(activation)
    written.save(tmp_path)
    again = load_surrogate(tmp_path)
    assert [part.tobytes() for part in parts(again)] == [part.tobytes() for part in parts(written)]


def test_saved_shipped_surrogate_predicts_the_same_bits(surrogate: Surrogate, tmp_path: Path) -> None:
    surrogate.save(tmp_path)
    points = uniform(surrogate.domain, 50, seed=9)
    assert np.array_equal(load_surrogate(tmp_path).predict(points), surrogate.predict(points))


@pytest.mark.parametrize("fact", ["reactions", "biomass", "maintenance", "maintenance_demand", "card", "domain"])
def test_saved_surrogate_keeps_what_it_is(saved: Path, fact: str) -> None:
    assert getattr(load_surrogate(saved), fact) == getattr(small_surrogate(), fact)


def test_saved_surrogate_is_two_files(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["arrays.npz", "surrogate.json"]


def test_saved_surrogate_tells_schema_and_hash_of_its_arrays(saved: Path) -> None:
    with np.load(saved / "arrays.npz") as file:
        assert (told(saved)["schema"], told(saved)["sha256"]) == (3, digest(told(saved), dict(file)))


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("domain", {"EX_glc__D_e": [0.0, 120.0], "EX_o2_e": [0.0, 160.0]}),
        ("activations", ["sigmoid", "sigmoid", "linear"]),
        ("biomass", "PGI"),
        ("maintenance_demand", 0.0),
        ("card", {"worst": 0.0}),
    ],
)
def test_fact_that_was_changed_is_refused(saved: Path, fact: str, value: object) -> None:
    refused(describe(saved, sha256=told(saved)["sha256"], **{fact: value}), "is not what was written: its SHA-256")


def test_reactions_in_another_order_are_refused(saved: Path) -> None:
    facts = told(saved)
    swapped = [facts["reactions"][1], facts["reactions"][0], *facts["reactions"][2:]]
    refused(describe(saved, sha256=facts["sha256"], reactions=swapped), "is not what was written: its SHA-256")


@pytest.mark.parametrize("size", [1.0e200, 1.0e308])
def test_weights_that_predict_no_number_are_refused(saved: Path, size: float) -> None:
    def enlarge(arrays: Arrays) -> None:
        arrays["weights_2"][:] = size
        arrays["modes"][:] = size

    refused(with_arrays(saved, enlarge), "predicts numbers that are not finite")


def test_number_on_the_card_that_is_not_finite_is_saved_as_nothing(tmp_path: Path) -> None:
    replace(small_surrogate(), card={"r2": [float("nan"), 1.0], "worst": float("inf")}).save(tmp_path)
    assert load_surrogate(tmp_path).card == {"r2": [None, 1.0], "worst": None}


def test_card_that_json_cannot_hold_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(SurrogateError, match="JSON cannot hold the card"):
        replace(small_surrogate(), card={"when": object()}).save(tmp_path / "cell")
    assert not (tmp_path / "cell").exists()


def test_surrogate_of_more_layers_than_are_read_is_not_saved(tmp_path: Path) -> None:
    small = small_surrogate()
    first, last = small.hidden[0], replace(small.weights, weights=np.ones((6, 4)))
    deep = replace(small, hidden=(first, *[replace(first, weights=np.eye(6))] * 30), weights=last)
    with pytest.raises(SurrogateError, match="more than a surrogate may have; train a smaller one"):
        deep.save(tmp_path)


def test_shipped_surrogates_have_names() -> None:
    assert "ecoli_ijo1366" in shipped_surrogates()


# files that are not there, or not files


def test_missing_surrogate_names_those_that_ship() -> None:
    with pytest.raises(SurrogateError, match="none of that name ships; nearest known: ecoli_ijo1366"):
        load_surrogate("ecoli_ijo1367")


def test_folder_without_a_description_is_refused(saved: Path) -> None:
    (saved / "surrogate.json").unlink()
    refused(saved, "there is no surrogate .*: no folder with surrogate.json")


def test_folder_without_arrays_is_refused(saved: Path) -> None:
    (saved / "arrays.npz").unlink()
    refused(saved, "arrays.npz is missing" + AGAIN)


def test_file_in_place_of_the_folder_is_refused(saved: Path) -> None:
    refused(saved / "surrogate.json", "is a file; a surrogate is a folder .*: give the folder")


@pytest.mark.parametrize("name", ["arrays.npz", "surrogate.json"])
def test_folder_in_place_of_a_file_is_refused(saved: Path, name: str) -> None:
    (saved / name).unlink()
    (saved / name).mkdir()
    refused(saved, f"{name} is a folder where a file should be" + AGAIN)


@pytest.mark.parametrize("name", ["arrays.npz", "surrogate.json"])
def test_pipe_in_place_of_a_file_is_refused(saved: Path, name: str) -> None:
    (saved / name).unlink()
    os.mkfifo(saved / name)
    refused(saved, f"{name} is a device or a pipe, not a file" + AGAIN)


@pytest.mark.parametrize("name", ["arrays.npz", "surrogate.json"])
def test_empty_file_is_refused(saved: Path, name: str) -> None:
    (saved / name).write_bytes(b"")
    refused(saved, f"{name} is empty" + AGAIN)


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.95])
def test_description_that_was_cut_short_is_refused(saved: Path, kept: float) -> None:
    raw = (saved / "surrogate.json").read_bytes()
    (saved / "surrogate.json").write_bytes(raw[: int(kept * len(raw))])
    refused(saved, "cannot be read as JSON .*: it is cut short or was changed" + AGAIN)


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.95])
def test_arrays_that_were_cut_short_are_refused(saved: Path, kept: float) -> None:
    raw = (saved / "arrays.npz").read_bytes()
    (saved / "arrays.npz").write_bytes(raw[: int(kept * len(raw))])
    refused(saved, "arrays.npz is damaged: it is cut short or goes on after its end" + AGAIN)


@pytest.mark.parametrize(("name", "most"), [("arrays.npz", 256), ("surrogate.json", 32)])
def test_file_that_is_too_large_is_refused_unread(saved: Path, name: str, most: int) -> None:
    os.truncate(saved / name, most * 2**20 + 1)
    refused(saved, f"{name} has {most + 1} MB, more than the {most} that are read" + AGAIN)


# descriptions


@pytest.mark.parametrize("schema", [0, 1, 2, 4, "3", True, 3.0, None])
def test_other_schema_is_refused(saved: Path, schema: object) -> None:
    refused(describe(saved, schema=schema), f"has schema {schema!r}, this mmopt reads 3" + AGAIN)


@pytest.mark.parametrize("text", ["[]", "null", '"cell"', "7"])
def test_description_that_is_no_object_is_refused(saved: Path, text: str) -> None:
    (saved / "surrogate.json").write_text(text)
    refused(saved, "describes no surrogate: it is no JSON object" + AGAIN)


@pytest.mark.parametrize("key", ["domain", "activations", "reactions", "biomass", "maintenance", "card"])
def test_description_without_a_key_is_refused(saved: Path, key: str) -> None:
    rest = told(saved)
    del rest[key]
    (saved / "surrogate.json").write_text(json.dumps(rest))
    refused(saved, f"describes no surrogate: {key}: Field required" + AGAIN)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"code": "print(1)"}, "code: Extra inputs are not permitted"),
        ({"biomass": 7}, "biomass: Input should be a valid string"),
        ({"maintenance_demand": "3.15"}, "maintenance_demand: Input should be a valid number"),
        ({"maintenance_demand": True}, "maintenance_demand: Input should be a valid number"),
        ({"reactions": ["A", None]}, "reactions.1: Input should be a valid string"),
        ({"reactions": []}, "reactions: List should have at least 1 item"),
        ({"reactions": "BIOMASS"}, "reactions: Input should be a valid list"),
        ({"activations": ["tanh"] * 31}, "activations: List should have at most 30 items"),
        ({"card": []}, "card: Input should be a valid dictionary"),
        ({"domain": {"EX_o2_e": [0.0]}}, "domain.EX_o2_e: List should have at least 2 items"),
        ({"domain": {"EX_o2_e": [0.0, None]}}, "domain.EX_o2_e.1: Input should be a valid number"),
        ({"sha256": 7}, "sha256: Input should be a valid string"),
    ],
    ids=str,
)
def test_description_with_a_wrong_value_is_refused(saved: Path, changed: dict[str, Any], reason: str) -> None:
    refused(describe(saved, **changed), f"describes no surrogate: {reason}")


@pytest.mark.parametrize("limits", [[5.0, 1.0], [3.0, 3.0], [-1.0, 4.0]])
def test_domain_that_is_not_ordered_is_refused(saved: Path, limits: list[float]) -> None:
    refused(describe(saved, domain={"EX_o2_e": limits}), "has a domain that cannot be: the range of EX_o2_e is")


def test_domain_without_inputs_is_refused(saved: Path) -> None:
    refused(describe(saved, domain={}), "has a domain that cannot be: a domain needs at least one")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("key", ["maintenance_demand", "card"])
def test_number_in_a_description_that_is_not_finite_is_refused(saved: Path, key: str, number: str) -> None:
    value = {"maintenance_demand": "@", "card": {"r2": ["@"]}}[key]
    text = json.dumps({**told(saved), key: value}).replace('"@"', number)
    (saved / "surrogate.json").write_text(text)
    refused(saved, f"cannot be read as JSON \\({number} is not a finite number\\)")


def test_key_that_stands_twice_is_refused(saved: Path) -> None:
    text = (saved / "surrogate.json").read_text()
    (saved / "surrogate.json").write_text(text.replace("{", '{"biomass": "ATPM",', 1))
    refused(saved, "a key stands twice in one object")


def test_description_that_nests_without_end_is_refused(saved: Path) -> None:
    (saved / "surrogate.json").write_text("[" * 1_000_000)
    refused(saved, "nests too deep" + AGAIN)


def test_description_in_another_encoding_is_refused(saved: Path) -> None:
    (saved / "surrogate.json").write_bytes((saved / "surrogate.json").read_text().encode("utf-16"))
    refused(saved, "cannot be read as JSON .*utf-8")


def test_unknown_activation_is_refused(saved: Path) -> None:
    refused(describe(saved, activations=["tanh", "relu", "linear"]), "activation 'relu', which is unknown; known: tanh")


def test_last_layer_that_is_not_linear_is_refused(saved: Path) -> None:
    refused(describe(saved, activations=["tanh", "tanh", "tanh"]), "the last layer must be linear")


def test_reaction_that_is_named_twice_is_refused(saved: Path) -> None:
    refused(describe(saved, reactions=[*told(saved)["reactions"][:-1], "ATPM"]), "names a reaction twice")


def test_maintenance_that_is_no_reaction_is_refused(saved: Path) -> None:
    refused(describe(saved, maintenance="NGAM"), "maintenance reaction 'NGAM', which is not among its reactions")


def test_hash_that_is_missing_is_refused(saved: Path) -> None:
    refused(describe(saved, sha256=None), "sha256: Input should be a valid string")


def test_hostile_words_reach_the_screen_without_control_characters(saved: Path) -> None:
    refused(describe(saved, activations=["\x1b[2J\n", "tanh", "linear"]), r"activation '\?\[2J\?', which is unknown")


# arrays


def test_arrays_of_another_save_are_refused(saved: Path, tmp_path: Path) -> None:
    small_surrogate(seed=5).save(tmp_path / "other")
    (tmp_path / "other" / "arrays.npz").replace(saved / "arrays.npz")
    refused(
        saved, "is not what was written: its SHA-256 is another; it was changed after it was written: take both files"
    )


def test_weight_that_was_changed_is_refused(saved: Path) -> None:
    seal = told(saved)["sha256"]
    with_arrays(saved, lambda arrays: arrays["weights_1"].__setitem__((0, 0), 1.0))
    refused(describe(saved, sha256=seal), "it was changed after it was written")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: a["weights_1"].__setitem__((0, 0), np.nan), "numbers that are not finite in 'weights_1'"),
        (lambda a: a["modes"].__setitem__((0, 0), np.inf), "numbers that are not finite in 'modes'"),
        (
            lambda a: a.update(offset=a["offset"].astype("f4")),
            "numbers of type float32 in 'offset', not float64 or int64",
        ),
        (lambda a: a.update(offset=a["offset"] + 0j), "numbers of type complex128 in 'offset'"),
        (lambda a: a.update(bias_0=a["bias_0"].astype(">f8")), "numbers of type >f8 in 'bias_0'"),
        (lambda a: a.update(bias_0=np.array(["a"])), "numbers of type <U1 in 'bias_0'"),
        (lambda a: a.update(used=a["used"].astype(float)), "whole numbers in 'used' and float64 in all others"),
        (lambda a: a.update(bias_0=a["bias_0"].astype(int)), "whole numbers in 'used' and float64 in all others"),
        (lambda a: a.update(used=a["used"][::-1]), "ascending positions among 6 reactions"),
        (lambda a: a["used"].__setitem__(1, a["used"][0]), "ascending positions among 6 reactions"),
        (lambda a: a["used"].__setitem__(0, -1), "ascending positions among 6 reactions"),
        (lambda a: a["used"].__setitem__(-1, 6), "ascending positions among 6 reactions"),
        (lambda a: a.update(used=a["used"][:, None]), "ascending positions among 6 reactions"),
        (
            lambda a: a.update(used=a["used"][:-1]),
            r"modes of shape \(4, 5\) and an offset of shape \(5,\) for 4 reactions",
        ),
        (lambda a: a.update(modes=a["modes"][:, :, None]), r"modes of shape \(4, 5, 1\)"),
        (lambda a: a.update(offset=a["offset"][:-1]), r"an offset of shape \(4,\) for 5 reactions"),
        (lambda a: a.update(modes=a["modes"][:-1]), r"\(3, 6\) modes do not fit 4 weights"),
        (lambda a: a.update(weights_1=a["weights_1"][:-1]), r"a layer of shape \(5, 5\) cannot follow 6 values"),
        (lambda a: a.update(bias_1=a["bias_1"][:-1]), r"a layer of shape \(6, 5\) cannot follow 6 values"),
        (lambda a: a.pop("offset"), "lacks 'offset.npy'"),
        (lambda a: a.update(extra=np.zeros(3)), "a member 'extra.npy' that does not belong there"),
    ],
    ids=range(21),
)
def test_array_that_does_not_fit_is_refused(saved: Path, change: Callable[[Arrays], object], reason: str) -> None:
    refused(with_arrays(saved, change), reason)


def test_modes_that_would_fill_the_memory_are_refused(saved: Path) -> None:
    many = [f"R{k}" for k in range(9_000)]

    def widen(arrays: Arrays) -> None:
        arrays.update(modes=np.zeros((4_000, 5)), weights_2=np.zeros((5, 4_000)), bias_2=np.zeros(4_000))

    with_arrays(saved, widen)
    refused(describe(saved, reactions=["ATPM", *many]), "4000 modes of 9001 reactions, more than 256 MB")


class Marker:
    """What a pickle would do when it is read: make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.path,)


def hostile(path: Path) -> np.ndarray:
    array = np.empty(6, dtype=object)
    array[:] = [Marker(path)] * 6
    return array


def test_pickle_among_the_arrays_is_refused_and_not_run(saved: Path, tmp_path: Path) -> None:
    with_members(saved, lambda members: members.update({"bias_0.npy": npy(hostile(tmp_path / "ran"))}))
    refused(saved, "holds Python objects in 'bias_0', which could run anything; none was created")
    assert not (tmp_path / "ran").exists()


def test_pickle_in_the_hostile_file_would_run(tmp_path: Path) -> None:
    np.load(io.BytesIO(npy(hostile(tmp_path / "ran"))), allow_pickle=True)
    assert (tmp_path / "ran").exists()


def test_pickle_in_place_of_the_archive_is_refused_and_not_run(saved: Path, tmp_path: Path) -> None:
    hostile(tmp_path / "ran").dump(saved / "arrays.npz")
    refused(saved, "arrays.npz is no zip archive" + AGAIN)
    assert not (tmp_path / "ran").exists()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "'offset' that is no array of numbers"),
        (b"\x80\x04N.", "'offset' that is no array of numbers"),
        (npy(np.zeros(5))[:-1], r"39 bytes in 'offset', whose header claims the shape \(5,\)"),
        (npy(np.zeros(5)) + b"\0", r"41 bytes in 'offset', whose header claims the shape \(5,\)"),
        (npy(np.zeros(5)).replace(b"(5,)", b"(10,)"[:4]), "'offset' that is no array of numbers"),
        (npy(np.zeros(5)).replace(b"(5,), ", b"(9**9,"), "'offset' that is no array of numbers"),
        (
            npy(np.zeros(15)).replace(b"(15,)", b"(-5,)"),
            r"120 bytes in 'offset', whose header claims the shape \(-5,\)",
        ),
        (npy(np.zeros(999999999, "V0")).replace(b"|V0", b"<f8"), "whose header claims the shape"),
        (npy(np.zeros(5)).replace(b"\x93NUMPY\x01", b"\x93NUMPY\x09"), "'offset' that is no array of numbers"),
    ],
    ids=range(9),
)
def test_array_whose_bytes_are_not_what_they_claim_is_refused(saved: Path, data: bytes, reason: str) -> None:
    refused(with_members(saved, lambda members: members.update({"offset.npy": data})), reason)


# archives


@pytest.mark.parametrize(
    "name", ["../offset.npy", "/tmp/offset.npy", "..\\offset.npy", "C:offset.npy", "a/../../b.npy"]
)
def test_member_that_leads_out_of_the_archive_is_refused(saved: Path, name: str) -> None:
    before = sorted(saved.parent.rglob("*"))
    with_members(saved, lambda members: members.update({name: npy(np.zeros(5))}))
    with pytest.raises(SurrogateError, match="that leads out of it"):
        load_surrogate(saved)
    assert sorted(saved.parent.rglob("*")) == before


def test_member_that_stands_twice_is_refused(saved: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(saved / "arrays.npz", "a") as archive:
        archive.writestr("offset.npy", npy(np.zeros(5)))
    refused(saved, "holds 'offset.npy' twice")


def test_member_that_is_a_link_is_refused(saved: Path) -> None:
    link = zipfile.ZipInfo("offset.npy")
    link.external_attr = 0o120777 << 16
    with_members(saved, lambda members: members.pop("offset.npy"))
    with zipfile.ZipFile(saved / "arrays.npz", "a") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(saved, "holds a link 'offset.npy' instead of a member")


def test_member_that_is_packed_otherwise_is_refused(saved: Path) -> None:
    with_members(saved, lambda members: members.pop("offset.npy"))
    with zipfile.ZipFile(saved / "arrays.npz", "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("offset.npy", npy(np.zeros(5)))
    refused(saved, "holds 'offset.npy' encrypted or packed in a way that is not read")


def test_archive_of_too_many_members_is_refused(saved: Path) -> None:
    with_members(saved, lambda members: members.update({f"x{k}.npy": b"" for k in range(60)}))
    refused(saved, "holds more than 64 members")


def test_archive_that_hides_its_many_members_is_refused(saved: Path) -> None:
    with_members(saved, lambda members: members.update({f"{'x' * 200}{k}.npy": b"" for k in range(400)}))
    raw = bytearray((saved / "arrays.npz").read_bytes())
    struct.pack_into("<HH", raw, len(raw) - 14, 9, 9)
    (saved / "arrays.npz").write_bytes(raw)
    refused(saved, "holds more than 64 members")


def test_archive_that_would_unpack_to_too_much_is_refused(saved: Path) -> None:
    with_members(saved, lambda members: members.pop("offset.npy"))
    packed = zipfile.ZipFile(saved / "arrays.npz", "a", zipfile.ZIP_DEFLATED, compresslevel=1)
    with packed as archive, archive.open("offset.npy", "w") as member:
        for _ in range(65):
            member.write(bytes(4 * 2**20))
    assert (saved / "arrays.npz").stat().st_size < 2 * 2**20
    refused(saved, "unpacks to 261 MB, more than the 256 that are read")


def test_archive_that_unpacks_to_more_than_it_claims_is_refused(saved: Path) -> None:
    """Both headers claim 168 bytes; what is behind them is ten million."""
    with_members(saved, lambda members: members.pop("offset.npy"))
    with zipfile.ZipFile(saved / "arrays.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("offset.npy", npy(np.zeros(5)) + bytes(10_000_000))
    raw = (saved / "arrays.npz").read_bytes()
    (saved / "arrays.npz").write_bytes(raw.replace(struct.pack("<I", 10_000_168), struct.pack("<I", 168)))
    refused(saved, "is damaged .*CRC" + ".*" + AGAIN)


def test_archive_with_a_flipped_bit_is_refused_or_says_the_same(saved: Path) -> None:
    """A few bits of a zip archive mean nothing; all others are noticed."""
    raw = (saved / "arrays.npz").read_bytes()
    right, noticed = [part.tobytes() for part in parts(small_surrogate())], 0
    for place in np.random.default_rng(0).integers(8 * len(raw), size=200).tolist():
        flipped = bytearray(raw)
        flipped[place // 8] ^= 1 << place % 8
        (saved / "arrays.npz").write_bytes(flipped)
        try:
            found = load_surrogate(saved)
        except SurrogateError:
            noticed += 1
        else:
            assert [part.tobytes() for part in parts(found)] == right
    assert noticed > 100


def test_archive_followed_by_something_else_is_refused(saved: Path) -> None:
    with (saved / "arrays.npz").open("ab") as file:
        file.write(b"more")
    refused(saved, "arrays.npz is damaged: it is cut short or goes on after its end")
