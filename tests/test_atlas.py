"""The atlas is the linear program remembered: same answers, exact slopes, regions that tile the domain, whole files."""

import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmopt import Domain
from mmopt.errors import DomainError, InfeasibleError, NetworkError, StudyError
from mmopt.fba import Atlas, FluxBatch, FluxProgram, load_atlas
from mmopt.network.linear_limit import LinearLimit
from mmopt.network.network import Network
from mmopt.reactor.profiles import ConstantFeed
from mmopt.reactor.vessels.ecoli import ecoli_fed_batch
from mmopt.results import Trajectory
from mmopt.simulation.simulate import simulate
from mmopt.status import Status

GLUCOSE, OXYGEN, ACETATE = "EX_glc__D_e", "EX_o2_e", "EX_ac_e"
GENOME = [pytest.param("ijo1366", marks=pytest.mark.genome), pytest.param("salmonella", marks=pytest.mark.genome)]
NO_SHORTFALL = 1.0e-9


@pytest.fixture(params=["textbook", *GENOME], scope="module")
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def atlas(request: pytest.FixtureRequest, name: str) -> Atlas:
    """Explored."""
    return request.getfixturevalue(f"{name}_atlas")


@pytest.fixture(scope="module")
def solved(request: pytest.FixtureRequest, name: str) -> FluxBatch:
    """What the linear program says at the points."""
    return request.getfixturevalue(f"{name}_labels")


@pytest.fixture(scope="module")
def program(atlas: Atlas) -> FluxProgram:
    """Another program than the one inside the atlas."""
    return FluxProgram(atlas.network, atlas.inputs)


def regions(atlas: Atlas) -> list[Any]:
    return list(atlas.regions)


def depth(atlas: Atlas, points: np.ndarray) -> np.ndarray:
    """How far inside its region each point lies [mmol/gDW/h]."""
    shapes = [atlas.regions[number].shape for number in atlas.extend(points)]
    return np.array([(s.right - s.left @ point).min() for s, point in zip(shapes, points, strict=True)])


# --- the same answers


def test_growth_and_exchanges_are_those_of_the_program(atlas: Atlas, solved: FluxBatch, points: np.ndarray) -> None:
    exchanges = [atlas.network.column(exchange) for exchange in atlas.network.exchanges]
    expected = np.column_stack([solved.growth, solved.net[:, exchanges]])
    assert np.abs(atlas.rates(points) - expected).max() < 1.0e-8


def test_every_flux_is_that_of_the_program(atlas: Atlas, solved: FluxBatch, points: np.ndarray) -> None:
    assert np.abs(atlas.batch(points).net - solved.net).max() < 1.0e-6


def test_shortfall_is_that_of_the_program(atlas: Atlas, solved: FluxBatch, points: np.ndarray) -> None:
    assert np.abs(atlas.batch(points).shortfall - solved.shortfall).max() < 1.0e-8


def test_growth_of_a_batch_is_the_flux_of_its_reaction(atlas: Atlas, points: np.ndarray) -> None:
    batch = atlas.batch(points)
    assert np.array_equal(batch.growth, batch.net[:, atlas.network.column(atlas.network.biomass)])


def edges(domain: Domain, count: int) -> np.ndarray:
    """The corners of the box, and points where some limits are zero, where several regions meet."""
    generator = np.random.default_rng(3)
    box = np.array(np.meshgrid(*zip(domain.lower, domain.upper, strict=True))).reshape(len(domain.inputs), -1).T
    inside = domain.lower + generator.random((count, len(domain.inputs))) * (domain.upper - domain.lower)
    inside[generator.random(inside.shape) < 0.5] = 0.0
    return np.vstack([box, inside])


def test_faces_edges_and_corners_of_the_domain_are_answered_exactly(
    atlas: Atlas, program: FluxProgram, domain: Domain
) -> None:
    there = edges(domain, 60)
    assert np.abs(atlas.rates(there, atlas.network.reactions) - program.batch(there).net).max() < 1.0e-8


def test_corners_of_regions_are_answered_exactly(atlas: Atlas, program: FluxProgram) -> None:
    there, source = atlas.corners()
    some = slice(None, None, 1 + len(there) // 300)
    assert np.abs(source.net[some] - program.batch(there[some]).net).max() < 1.0e-6


def test_one_answer_is_that_of_the_batch(atlas: Atlas, points: np.ndarray) -> None:
    source = atlas.batch(points[:50])
    assert np.array_equal([atlas.fluxes(point).net for point in points[:50]], source.net)


def test_cell_reads_what_the_atlas_says(textbook_atlas: Atlas, points: np.ndarray) -> None:
    names = ["EX_co2_e", "shortfall", "growth", "PFK"]
    cell = textbook_atlas.rate_function(names)
    read = [list(cell(dict(zip(textbook_atlas.inputs, point, strict=True))).values()) for point in points[:200]]
    assert read == pytest.approx(textbook_atlas.rates(points[:200], names), abs=1.0e-12)


def test_cell_reads_right_wherever_it_has_been(textbook_atlas: Atlas, points: np.ndarray) -> None:
    there = np.random.default_rng(1).permutation(points)[:200]
    cell = textbook_atlas.rate_function(["growth"])
    growth = [cell(dict(zip(textbook_atlas.inputs, point, strict=True)))["growth"] for point in there]
    assert growth == pytest.approx(textbook_atlas.rates(there, ["growth"])[:, 0], abs=1.0e-8)


def test_cell_of_an_atlas_takes_a_limit_below_zero_as_none(textbook_atlas: Atlas) -> None:
    cell = textbook_atlas.rate_function(["growth", "shortfall"])
    assert cell({GLUCOSE: -1.0e-9, OXYGEN: 10.0, ACETATE: -1.0e-3}) == pytest.approx({"growth": 0.0, "shortfall": 8.39})


@pytest.mark.parametrize("point", [[20.0, 10.0, 1.0], [10.0, 30.0, 0.0], [5.0, 5.0, 9.0]], ids=str)
def test_outside_its_domain_the_program_answers(textbook_atlas: Atlas, point: list[float]) -> None:
    expected = FluxProgram(textbook_atlas.network, textbook_atlas.inputs).solve(point)
    assert textbook_atlas.fluxes(point).net == pytest.approx(expected.net, abs=1.0e-9)


def test_rates_outside_the_domain_are_those_of_the_program(textbook_atlas: Atlas) -> None:
    there = np.array([[20.0, 10.0, 1.0], [5.0, 5.0, 1.0], [10.0, 30.0, 0.0]])
    expected = FluxProgram(textbook_atlas.network, textbook_atlas.inputs).batch(there)
    assert textbook_atlas.rates(there, ["growth"])[:, 0] == pytest.approx(expected.growth, abs=1.0e-9)


def test_nothing_is_remembered_outside_the_domain(textbook_atlas: Atlas) -> None:
    known = len(textbook_atlas.regions)
    textbook_atlas.rates(np.array([[20.0, 10.0, 1.0]]))
    assert len(textbook_atlas.regions) == known


def test_slope_outside_the_domain_is_no_number(textbook_atlas: Atlas) -> None:
    assert np.isnan(textbook_atlas.jacobian(np.array([[20.0, 10.0, 1.0]]))).all()


@pytest.mark.parametrize("ask", ["fluxes", "rates", "batch", "cell"])
def test_limit_without_end_is_answered_by_the_program(textbook_atlas: Atlas, ask: str) -> None:
    point = np.array([10.0, np.inf, 0.0])
    growth = {
        "fluxes": lambda: textbook_atlas.fluxes(point).growth,
        "rates": lambda: textbook_atlas.rates(point[None, :], ["growth"])[0, 0],
        "batch": lambda: textbook_atlas.batch(point[None, :]).growth[0],
        "cell": lambda: textbook_atlas.rate_function(["growth"])({GLUCOSE: 10.0, OXYGEN: np.inf, ACETATE: 0.0})[
            "growth"
        ],
    }
    assert growth[ask]() == pytest.approx(0.8739215, abs=1.0e-7)


@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_limit_that_is_no_uptake_is_refused_by_an_atlas(textbook_atlas: Atlas, value: float) -> None:
    with pytest.raises(DomainError, match=r"limit of EX_o2_e is .* give a number from 0 up"):
        textbook_atlas.fluxes([10.0, value, 1.0])


@pytest.mark.parametrize("ask", ["fluxes", "rates", "batch"])
def test_missing_limit_is_refused_by_an_atlas(textbook_atlas: Atlas, ask: str) -> None:
    point = np.array([10.0, 10.0])
    with pytest.raises(DomainError, match=r"3 inputs are needed \(EX_glc__D_e, EX_o2_e, EX_ac_e\), 2 were given"):
        getattr(textbook_atlas, ask)(point if ask == "fluxes" else point[None, :])


def test_unknown_reading_of_an_atlas_names_the_nearest(textbook_atlas: Atlas) -> None:
    with pytest.raises(NetworkError, match="no reaction 'EX_co_e'; nearest known: EX_co2_e"):
        textbook_atlas.rates(np.array([[1.0, 1.0, 1.0]]), ["EX_co_e"])


def test_unknown_input_of_an_atlas_names_the_nearest(textbook: Network) -> None:
    with pytest.raises(NetworkError, match="nearest known: EX_glc__D_e"):
        Atlas(textbook, Domain({"EX_glc_e": (0.0, 12.0)}))


# --- slopes


def test_slopes_are_differences_of_the_program(atlas: Atlas, program: FluxProgram, points: np.ndarray) -> None:
    step = 0.01
    there = points[depth(atlas, points) > 2.0 * step]
    there = there[:: -(-len(there) // 40)]
    slopes = atlas.jacobian(there, atlas.network.reactions)
    for column, way in enumerate(step * np.eye(len(atlas.inputs))):
        difference = (program.batch(there + way).net - program.batch(there - way).net) / (2.0 * step)
        assert np.abs(slopes[:, :, column] - difference).max() < 1.0e-7


LINES = [("textbook", 40), pytest.param("ijo1366", 8, marks=pytest.mark.genome)]


@pytest.mark.slow
@pytest.mark.parametrize(("on", "steps"), LINES)
def test_no_flux_of_the_program_jumps_along_a_line(request: pytest.FixtureRequest, on: str, steps: int) -> None:
    atlas = request.getfixturevalue(f"{on}_atlas")
    program, slopes = FluxProgram(atlas.network, atlas.inputs), np.array([each.slope for each in regions(atlas)])
    ends = (
        np.random.default_rng(11).random((200 if on == "textbook" else 60, 2, len(atlas.inputs))) * atlas.domain.upper
    )
    for start, end in ends:
        net = program.batch(np.linspace(start, end, steps)).net
        steepest = np.abs(slopes[:, :-1] @ ((end - start) / (steps - 1))).max(axis=0)
        assert np.all(np.abs(np.diff(net, axis=0)) <= steepest + 1.0e-8)


# --- the map


def test_explored_regions_fill_the_domain(atlas: Atlas) -> None:
    assert atlas.coverage >= 1.0 - 1.0e-6


def test_regions_fill_no_more_than_the_domain(atlas: Atlas) -> None:
    assert atlas.coverage <= 1.0 + 1.0e-9


def test_regions_do_not_overlap(atlas: Atlas, points: np.ndarray) -> None:
    inside = points[depth(atlas, points) > 1.0e-6]
    holding = sum(np.all(each.shape.left @ inside.T <= each.shape.right[:, None], axis=0) for each in regions(atlas))
    assert np.all(holding == 1)


def test_growth_is_the_least_of_its_planes(atlas: Atlas, solved: FluxBatch, points: np.ndarray) -> None:
    slopes, constants = atlas.growth_planes()
    met = solved.shortfall < NO_SHORTFALL
    assert (points[met] @ slopes.T + constants).min(axis=1) == pytest.approx(solved.growth[met], abs=1.0e-9)


def test_growth_planes_are_all_different(atlas: Atlas) -> None:
    planes = np.column_stack(atlas.growth_planes())
    apart = np.abs(planes[:, None] - planes[None]).max(axis=2) + np.eye(len(planes))
    assert apart.min() > 1.0e-9


def test_fluxes_at_corners_balance(atlas: Atlas) -> None:
    assert np.abs(atlas.network.stoichiometry @ atlas.corners()[1].net.T).max() < 1.0e-9


def test_corners_lie_in_the_domain(atlas: Atlas) -> None:
    there = atlas.corners()[0]
    assert np.all((there >= atlas.domain.lower - 1.0e-9) & (there <= atlas.domain.upper + 1.0e-9))


def test_answers_are_means_of_those_at_the_corners_of_a_region(atlas: Atlas, program: FluxProgram) -> None:
    generator, worst = np.random.default_rng(8), 0.0
    for each in regions(atlas)[:: 1 + len(atlas.regions) // 60]:
        weights = generator.dirichlet(np.ones(len(each.shape.corners)))
        corners = np.array([program.solve(corner).net for corner in each.shape.corners])
        mean = program.solve(weights @ each.shape.corners).net
        worst = max(worst, np.abs(weights @ corners - mean).max())
    assert worst < 1.0e-6


def test_regions_are_added_where_points_lie(textbook: Network, domain: Domain, points: np.ndarray) -> None:
    lazy = Atlas(textbook, domain)
    lazy.rates(points[:1])
    assert len(lazy.regions) == 1


def test_atlas_that_grows_with_its_points_is_exact(
    textbook: Network, domain: Domain, points: np.ndarray, textbook_labels: FluxBatch
) -> None:
    there = np.random.default_rng(2).permutation(len(points))
    assert Atlas(textbook, domain).rates(points[there], textbook.reactions) == pytest.approx(
        textbook_labels.net[there], abs=1.0e-8
    )


def test_batch_adds_no_region(textbook: Network, domain: Domain, points: np.ndarray) -> None:
    empty = Atlas(textbook, domain)
    empty.batch(points[:5])
    assert len(empty.regions) == 0


def test_batch_of_an_empty_atlas_is_that_of_the_program(
    textbook: Network, domain: Domain, points: np.ndarray, textbook_labels: FluxBatch
) -> None:
    assert np.array_equal(Atlas(textbook, domain).batch(points).net, textbook_labels.net)


def test_empty_atlas_covers_nothing(textbook: Network, domain: Domain) -> None:
    empty = Atlas(textbook, domain)
    assert (len(empty.regions), empty.coverage, len(empty.corners()[0])) == (0, 0.0, 0)


def test_domain_that_does_not_begin_at_zero_is_filled(textbook: Network) -> None:
    away = Atlas(textbook, Domain({GLUCOSE: (2.0, 11.0), OXYGEN: (0.5, 3.0)}))
    assert away.explore() == pytest.approx(1.0, abs=1.0e-9)


# --- the program's options


FLUX = LinearLimit("flux", 300.0)
VARIANTS: dict[str, tuple[dict[str, tuple[float, float]], dict[str, Any]]] = {
    "maintenance": ({GLUCOSE: (0.0, 12.0), OXYGEN: (0.0, 16.0), "ATPM": (0.0, 30.0)}, {}),
    "fraction": ({GLUCOSE: (0.0, 12.0), OXYGEN: (0.0, 16.0)}, {"fraction_of_optimum": 0.8}),
    "limit": ({GLUCOSE: (0.0, 12.0), OXYGEN: (0.0, 16.0)}, {"limits": [FLUX]}),
    "limit as input": ({GLUCOSE: (0.0, 12.0), "flux": (0.0, 600.0)}, {"limits": [FLUX]}),
    "net limit that hardly binds": (
        {GLUCOSE: (0.0, 12.0)},
        {"limits": [LinearLimit("net", 0.0, {"ACALDt": -0.5, "ETOHt2r": 1.0, "FUMt2_2": 1.0}, net=True)]},
    ),
    "all": (
        {GLUCOSE: (0.0, 12.0), "ATPM": (0.0, 30.0), "flux": (50.0, 600.0)},
        {"limits": [FLUX, LinearLimit("respiration", 30.0, {"CYTBD": 1.0})], "fraction_of_optimum": 0.9},
    ),
}


@pytest.fixture(params=VARIANTS, scope="module")
def variant(request: pytest.FixtureRequest, textbook: Network) -> Atlas:
    box, options = VARIANTS[request.param]
    atlas = Atlas(textbook, Domain(box), **options)
    atlas.explore()
    return atlas


def test_atlas_with_options_fills_its_domain(variant: Atlas) -> None:
    assert variant.coverage == pytest.approx(1.0, abs=1.0e-6)


def test_atlas_with_options_is_the_program_with_them(variant: Atlas) -> None:
    there = variant.domain.lower + np.random.default_rng(4).random((400, len(variant.inputs))) * (
        variant.domain.upper - variant.domain.lower
    )
    alone = FluxProgram(
        variant.network,
        variant.inputs,
        fraction_of_optimum=variant.program.fraction_of_optimum,
        limits=variant.program.limits,
    )
    assert np.abs(variant.batch(there).net - alone.batch(there).net).max() < 1.0e-6


def test_atlas_is_the_program_where_the_objective_is_below_zero(textbook: Network) -> None:
    # glucose is taken up for maintenance, so the most of its exchange flux is negative
    atlas = Atlas(
        replace(textbook, biomass=GLUCOSE), Domain({GLUCOSE: (0.0, 2.0), "ATPM": (0.0, 50.0)}), fraction_of_optimum=0.5
    )
    atlas.explore()
    there = np.random.default_rng(4).random((200, 2)) * atlas.domain.upper
    assert np.abs(atlas.batch(there).net - atlas.program.batch(there).net).max() < 1.0e-8


# --- bits, copies and files


def everything(atlas: Atlas, points: np.ndarray) -> tuple[bytes, ...]:
    batch = atlas.batch(points)
    arrays = (batch.net, batch.shortfall, atlas.jacobian(points), *atlas.growth_planes(), atlas.corners()[0])
    return (atlas.digest.encode(), repr(atlas.coverage).encode(), *(array.tobytes() for array in arrays))


def test_second_exploration_gives_the_same_bits(textbook: Network, domain: Domain, textbook_atlas: Atlas) -> None:
    again = Atlas(textbook, domain)
    again.explore()
    assert again.digest == textbook_atlas.digest


@pytest.mark.genome
def test_copy_of_an_atlas_answers_with_the_same_bits(ijo1366_atlas: Atlas, points: np.ndarray) -> None:
    copied = pickle.loads(pickle.dumps(ijo1366_atlas))
    assert everything(copied, points) == everything(ijo1366_atlas, points)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """Another process, that begins with nothing."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.slow
def test_atlas_sent_elsewhere_answers_with_the_same_bits(
    elsewhere: ProcessPoolExecutor, textbook_atlas: Atlas, points: np.ndarray
) -> None:
    assert elsewhere.submit(everything, textbook_atlas, points).result() == everything(textbook_atlas, points)


def digest_of_a_new_atlas(network: Network, limits: dict[str, tuple[float, float]]) -> str:
    atlas = Atlas(network, Domain(limits))
    atlas.explore()
    return atlas.digest


def test_exploration_elsewhere_gives_the_same_bits(
    elsewhere: ProcessPoolExecutor, textbook: Network, domain: Domain, textbook_atlas: Atlas
) -> None:
    future = elsewhere.submit(digest_of_a_new_atlas, textbook, dict(domain.limits))
    assert future.result() == textbook_atlas.digest


@pytest.mark.parametrize(
    "change",
    [
        {"domain": Domain({GLUCOSE: (0.0, 11.0)})},
        {"fraction_of_optimum": 0.9},
        {"limits": [FLUX]},
    ],
    ids=["domain", "fraction", "limits"],
)
def test_digest_tells_what_decides_an_answer(textbook: Network, change: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"domain": Domain({GLUCOSE: (0.0, 12.0)})}
    assert Atlas(textbook, **usual).digest != Atlas(textbook, **{**usual, **change}).digest


def test_digest_tells_the_regions(textbook: Network) -> None:
    atlas = Atlas(textbook, Domain({GLUCOSE: (0.0, 12.0)}))
    before = atlas.digest
    atlas.explore()
    assert atlas.digest != before


@pytest.fixture(scope="module")
def saved(textbook_atlas: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return textbook_atlas.save(tmp_path_factory.mktemp("atlas") / "atlas.nc")


def test_saved_atlas_comes_back_bit_for_bit(saved: Path, textbook_atlas: Atlas, points: np.ndarray) -> None:
    assert everything(load_atlas(saved, textbook_atlas.network), points) == everything(textbook_atlas, points)


@pytest.mark.genome
def test_saved_genome_scale_atlas_comes_back_bit_for_bit(
    ijo1366_atlas: Atlas, tmp_path: Path, points: np.ndarray
) -> None:
    loaded = load_atlas(ijo1366_atlas.save(tmp_path / "atlas.nc"), ijo1366_atlas.network)
    assert everything(loaded, points) == everything(ijo1366_atlas, points)


def test_saved_atlas_with_options_comes_back(variant: Atlas, tmp_path: Path, points: np.ndarray) -> None:
    there = points[:100, : len(variant.inputs)]
    loaded = load_atlas(variant.save(tmp_path / "atlas.nc"), variant.network)
    assert everything(loaded, there) == everything(variant, there)


def test_saved_empty_atlas_comes_back(textbook: Network, tmp_path: Path) -> None:
    empty = Atlas(textbook, Domain({GLUCOSE: (0.0, 12.0)}))
    assert load_atlas(empty.save(tmp_path / "atlas.nc"), textbook).digest == empty.digest


def test_loaded_atlas_grows_on(textbook: Network, tmp_path: Path) -> None:
    begun = Atlas(textbook, Domain({GLUCOSE: (0.0, 12.0)}))
    begun.rates(np.array([[10.0]]))
    assert load_atlas(begun.save(tmp_path / "atlas.nc"), textbook).explore() == pytest.approx(1.0)


def test_atlas_of_another_network_is_refused(saved: Path, textbook: Network) -> None:
    lower = textbook.lower.copy()
    lower[textbook.column("ATPM")] = 8.0
    with pytest.raises(StudyError, match="belongs to another network than e_coli_core as read now; explore again"):
        load_atlas(saved, replace(textbook, lower=lower))


def test_missing_atlas_is_refused(tmp_path: Path, textbook: Network) -> None:
    with pytest.raises(StudyError, match=r"nothing\.nc is not an atlas mmopt wrote"):
        load_atlas(tmp_path / "nothing.nc", textbook)


def test_file_of_another_kind_is_refused(textbook: Network, tmp_path: Path) -> None:
    other = tmp_path / "atlas.nc"
    other.write_text("regions: 48\n")
    with pytest.raises(StudyError, match="is not an atlas mmopt wrote"):
        load_atlas(other, textbook)


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_truncated_atlas_is_refused(saved: Path, textbook: Network, tmp_path: Path, part: float) -> None:
    cut = tmp_path / "atlas.nc"
    cut.write_bytes(saved.read_bytes()[: int(part * saved.stat().st_size)])
    with pytest.raises(StudyError, match="is not an atlas mmopt wrote"):
        load_atlas(cut, textbook)


def outcomes_of_damage(folder: Path, network: Network, count: int) -> set[str]:
    """What comes of an atlas in whose file one byte is wrong."""
    atlas = Atlas(network, Domain({GLUCOSE: (0.0, 12.0)}))
    atlas.explore()
    whole, generator, found = atlas.save(folder / "atlas.nc").read_bytes(), np.random.default_rng(1), set()
    names_at = whole.rfind(b"digest")  # half of the damage is done among the names of things
    for number in range(count):
        damaged = bytearray(whole)
        low, high = (0, len(whole)) if number % 2 else (max(0, names_at - 1500), min(len(whole), names_at + 1500))
        damaged[generator.integers(low, high)] ^= int(generator.integers(1, 256))
        path = folder / "damaged.nc"
        path.write_bytes(damaged)
        try:
            loaded = load_atlas(path, network)
            found.add("unchanged" if loaded.digest == atlas.digest else "changed")
            found.add("covers the same" if loaded.coverage == atlas.coverage else "covers another part")
        except StudyError:
            found.add("refused")
    return found


@pytest.mark.slow
def test_damaged_atlas_is_refused_or_unchanged(textbook: Network, tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:  # damage may bring a process down
        found = apart.submit(outcomes_of_damage, tmp_path, textbook, 100).result()
    assert found <= {"refused", "unchanged", "covers the same"}


# --- in a reactor

START = {"volume": 1.0, "biomass": 0.5, "glucose": 3.0, "acetate": 0.1, "oxygen": 0.2}


@pytest.fixture(scope="module")
def two_runs(textbook_atlas: Atlas) -> tuple[Trajectory, Trajectory]:
    """One batch that runs out of glucose and then of acetate, with the atlas and with the program as the cell."""
    plants = (textbook_atlas, FluxProgram(textbook_atlas.network, textbook_atlas.inputs))
    on_atlas, on_program = (
        simulate(ecoli_fed_batch(), START, {"feed": ConstantFeed(0.001)}, 5.0, plant, points=60, tolerance=1.0e-9)
        for plant in plants
    )
    return on_atlas, on_program


@pytest.mark.parametrize("quantity", [*START, "growth", GLUCOSE, ACETATE, "shortfall"])
def test_atlas_in_a_reactor_is_the_program_in_it(two_runs: tuple[Trajectory, Trajectory], quantity: str) -> None:
    on_atlas, on_program = two_runs
    assert on_atlas[quantity] == pytest.approx(on_program[quantity], abs=1.0e-6)


# --- where there is no answer


@pytest.fixture(scope="module")
def forced(textbook: Network) -> Atlas:
    """Lactate must leave the cell, which little glucose cannot pay for."""
    lower = textbook.lower.copy()
    lower[textbook.column("EX_lac__D_e")] = 4.0
    return Atlas(replace(textbook, lower=lower), Domain({GLUCOSE: (0.0, 12.0)}))


@pytest.mark.slow
def test_part_without_an_answer_is_not_covered(forced: Atlas) -> None:
    # two lactates take one glucose, so below 2 of 12 mmol/gDW/h nothing can leave
    assert forced.explore() == pytest.approx(10.0 / 12.0, abs=1.0e-6)


def test_point_without_an_answer_is_told_by_its_status(forced: Atlas) -> None:
    assert forced.batch(np.array([[1.0], [10.0]])).status == (Status.INFEASIBLE, Status.OPTIMAL)


def test_rates_where_there_is_no_answer_are_refused(forced: Atlas) -> None:
    with pytest.raises(InfeasibleError, match="EX_lac__D_e must run"):
        forced.rates(np.array([[1.0]]), ["growth"])


# --- arguments that are none, and what is printed


@pytest.mark.parametrize("domain", [None, {GLUCOSE: (0.0, 12.0)}, "glucose", 3.0], ids=str)
def test_domain_that_is_none_is_refused(textbook: Network, domain: Any) -> None:
    with pytest.raises(DomainError, match=r"domain is .*; give a Domain"):
        Atlas(textbook, domain)


@pytest.mark.parametrize(
    ("option", "value"),
    [("wanted", "all"), ("wanted", np.nan), ("most", 1.5), ("most", "many"), ("probes", None), ("probes", -1)],
)
def test_exploration_with_nonsense_is_refused_by_name(textbook_atlas: Atlas, option: str, value: Any) -> None:
    with pytest.raises(DomainError, match=rf"{option} is .*; give a"):
        textbook_atlas.explore(**{option: value})


@pytest.mark.parametrize("point", [None, "ten", [1.0, 2.0, "ten"], [1.0, np.nan, 2.0], [[1.0, 2.0, 3.0]]], ids=str)
def test_fluxes_at_no_point_are_refused(textbook_atlas: Atlas, point: Any) -> None:
    with pytest.raises(DomainError, match=r"limit|inputs"):
        textbook_atlas.fluxes(point)


@pytest.mark.parametrize("path", [None, 3.0, ["atlas.nc"]], ids=str)
def test_path_that_is_none_is_refused(textbook: Network, core_atlas: Atlas, path: Any) -> None:
    with pytest.raises(StudyError, match=r"path is .*; give the path of a file"):
        core_atlas.save(path)
    with pytest.raises(StudyError, match="is not an atlas mmopt wrote"):
        load_atlas(path, textbook)


def test_atlas_is_printed_in_short(textbook: Network) -> None:
    atlas = Atlas(textbook, Domain({GLUCOSE: (0.0, 12.0)}))
    assert repr(atlas) == "Atlas('e_coli_core': 0 critical regions of 1 input, 0.0 % of the domain)"
    atlas.find(np.array([10.0]))
    assert repr(atlas.regions).startswith("Regions(1 regions, 0.")
    assert repr(atlas.regions[0]).startswith("Region(2 facets, 0.")
    assert "domain: EX_glc__D_e: 0 to 12 mmol/gDW/h" in str(atlas)
    assert atlas._repr_html_().startswith("<table><tr><th>network</th>")
