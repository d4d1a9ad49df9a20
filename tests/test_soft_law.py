"""A soft law errs by no more than its proof says, balances whatever it says, is smooth, and stands in a reactor."""

import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest

from mmopt.errors import DomainError, SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.fba.fluxes import FluxBatch
from mmopt.network.network import Network
from mmopt.reactor.profiles import ConstantFeed
from mmopt.reactor.system import Metabolism
from mmopt.reactor.vessels.ecoli import ecoli_fed_batch
from mmopt.results import Trajectory
from mmopt.simulation.simulate import simulate
from mmopt.surrogate.limit_points import scaled
from mmopt.surrogate.soft.bound import Proof
from mmopt.surrogate.soft.growth import SoftGrowth, soft_growth
from mmopt.surrogate.soft.separation import Separation
from mmopt.surrogate.soft_law import SoftLaw, soft_law

GLUCOSE, OXYGEN, ACETATE = "EX_glc__D_e", "EX_o2_e", "EX_ac_e"
COARSE, FINE = 0.05, 0.01
NETWORKS = ["textbook", pytest.param("ijo1366", marks=pytest.mark.genome)]


@pytest.fixture(params=NETWORKS, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def atlas(request: pytest.FixtureRequest, name: str) -> Atlas:
    return request.getfixturevalue(f"{name}_atlas")


@pytest.fixture(scope="module")
def laws(atlas: Atlas) -> dict[float, SoftLaw]:
    return {error: soft_law(atlas, error=error) for error in (COARSE, FINE)}


@pytest.fixture(scope="module")
def law(laws: dict[float, SoftLaw]) -> SoftLaw:
    return laws[FINE]


@pytest.fixture(scope="module")
def readings(atlas: Atlas, law: SoftLaw) -> list[str]:
    """Those of the card, some fluxes inside the cell, and the flux of biomass."""
    return [*law.card["bounds"], "ATPM", "PFK", "PGI", "ICL", "FBP", atlas.network.biomass]


@pytest.fixture(scope="module")
def small(textbook: Network) -> SoftLaw:
    """Of one input."""
    atlas = Atlas(textbook, Domain({GLUCOSE: (0.0, 12.0)}))
    atlas.explore()
    return soft_law(atlas)


def exact(atlas: Atlas, points: np.ndarray, names: list[str]) -> np.ndarray:
    """What the atlas says; the few points that no region holds are left to its program, and no region is added."""
    rows = {name: row for row, name in enumerate((*atlas.network.reactions, "shortfall"))}
    columns = np.array([rows[atlas.network.biomass if name == "growth" else name] for name in names])
    found = atlas.regions.locate(points)
    values = atlas.regions.values(points, found, columns)
    for place in np.flatnonzero(found < 0):
        fluxes = atlas.program.solve(points[place])
        values[place] = np.append(fluxes.net, fluxes.shortfall)[columns]
    return values


def inside(atlas: Atlas, points: np.ndarray) -> np.ndarray:
    return np.clip(points, atlas.domain.lower, atlas.domain.upper)


def somewhere(atlas: Atlas, count: int, seed: int = 0) -> np.ndarray:
    unit = np.random.default_rng(seed).random((count, len(atlas.inputs)))
    return atlas.domain.lower + unit * (atlas.domain.upper - atlas.domain.lower)


def corners(atlas: Atlas) -> np.ndarray:
    return inside(atlas, np.vstack([region.shape.corners for region in atlas.regions]))


def around_corners(atlas: Atlas) -> np.ndarray:
    generator = np.random.default_rng(1)
    there = corners(atlas)[generator.integers(len(corners(atlas)), size=4000)]
    return inside(atlas, there + generator.normal(size=there.shape) * 10.0 ** generator.uniform(-6, 0, (4000, 1)))


def facets(atlas: Atlas) -> np.ndarray:
    middles = np.vstack([region.shape.beyond[0] for region in atlas.regions])
    return inside(atlas, atlas.domain.lower + middles * (atlas.domain.upper - atlas.domain.lower))


def across_facets(atlas: Atlas) -> np.ndarray:
    """From the middle of each facet a little into both regions."""
    steps = np.array([-0.01, -0.001, 1.0e-4, 0.003, 0.03])
    lines = [
        middles[:, None] + steps[:, None] * normals[:, None]
        for middles, normals in (region.shape.beyond for region in atlas.regions)
    ]
    unit = np.vstack([line.reshape(-1, len(atlas.inputs)) for line in lines])
    return inside(atlas, atlas.domain.lower + unit * (atlas.domain.upper - atlas.domain.lower))


def lines(atlas: Atlas) -> np.ndarray:
    ends = somewhere(atlas, 40, seed=2).reshape(20, 2, -1)
    return np.vstack([np.linspace(start, end, 200) for start, end in ends])


def starved(atlas: Atlas) -> np.ndarray:
    """Where maintenance cannot be met, or only just."""
    there = somewhere(atlas, 6000, seed=3) * np.array([0.15 if name == GLUCOSE else 0.3 for name in atlas.inputs])
    shortfall = exact(atlas, there, ["shortfall"])[:, 0]
    assert np.sum(shortfall > 0.1) > 300
    return there


def nothing(atlas: Atlas) -> np.ndarray:
    """No uptake at all, and points where some limits are zero."""
    there = somewhere(atlas, 3000, seed=4)
    there[np.random.default_rng(5).random(there.shape) < 0.6] = 0.0
    return np.vstack([np.zeros(len(atlas.inputs)), there])


PLACES = {
    "random": lambda atlas: somewhere(atlas, 20000),
    "corners": corners,
    "around corners": around_corners,
    "facets": facets,
    "across facets": across_facets,
    "lines": lines,
    "starved": starved,
    "nothing": nothing,
}


@dataclass(frozen=True)
class Told:
    """Points of every kind, and there what the atlas and the laws say of the readings; the bounds of the laws."""

    points: dict[str, np.ndarray]
    true: dict[str, np.ndarray]
    said: dict[float, dict[str, np.ndarray]]
    bounds: dict[float, np.ndarray]

    def worst(self, error: float, *places: str) -> np.ndarray:
        separation = [np.abs(self.said[error][place] - self.true[place]).max(axis=0) for place in places or PLACES]
        return np.max(separation, axis=0)


@pytest.fixture(scope="module")
def told(atlas: Atlas, laws: dict[float, SoftLaw], readings: list[str]) -> Told:
    points = {place: choose(atlas) for place, choose in PLACES.items()}
    return Told(
        points,
        {place: exact(atlas, there, readings) for place, there in points.items()},
        {e: {place: law.predict(there, readings) for place, there in points.items()} for e, law in laws.items()},
        {error: np.array([law.bound(name) for name in readings]) for error, law in laws.items()},
    )


# --- the bound


@pytest.mark.parametrize("error", [COARSE, FINE])
@pytest.mark.parametrize("place", PLACES)
def test_no_reading_errs_by_more_than_its_bound(told: Told, readings: list[str], place: str, error: float) -> None:
    worst, bounds = told.worst(error, place), told.bounds[error]
    assert {readings[k]: (worst[k], bounds[k]) for k in np.flatnonzero(worst > bounds)} == {}


def test_fluxes_of_the_program_are_within_the_bound(
    textbook_atlas: Atlas, points: np.ndarray, textbook_labels: FluxBatch
) -> None:
    law, network = soft_law(textbook_atlas), textbook_atlas.network
    worst = np.abs(law.predict(points) - textbook_labels.net).max(axis=0)
    assert np.all(worst <= [law.bound(name) for name in network.reactions])


@pytest.mark.parametrize("error", [COARSE, FINE])
def test_bounds_are_no_more_than_was_asked(atlas: Atlas, told: Told, readings: list[str], error: float) -> None:
    tenth = 0.1 * np.ptp(exact(atlas, told.points["corners"], list(atlas.network.exchanges)), axis=0).max()
    least = np.where([name in ("growth", atlas.network.biomass) for name in readings], 0.0, tenth)
    assert np.all(told.bounds[error] <= 1.001 * error * np.maximum(np.ptp(told.true["corners"], axis=0), least))


def test_bounds_are_not_loose(told: Told, readings: list[str]) -> None:
    ratio = told.worst(FINE) / told.bounds[FINE]
    ratio = ratio[[name != GLUCOSE for name in readings]]  # glucose is taken up whole: there is nothing to err in
    assert (ratio.min() > 0.15, np.median(ratio) > 0.3) == (True, True)


def test_smaller_error_gives_smaller_errors(told: Told) -> None:
    coarse = told.worst(COARSE)
    assert np.all((told.worst(FINE) < 0.7 * coarse)[coarse > 1.0e-6])


def test_smaller_error_gives_smaller_bounds(told: Told) -> None:
    coarse = told.bounds[COARSE]
    assert np.all((told.bounds[FINE] < 0.7 * coarse)[coarse > 1.0e-6])


def test_bound_of_two_laws_is_the_closed_form(textbook: Network) -> None:
    whole = Atlas(textbook, Domain({GLUCOSE: (0.0, 12.0)}))
    whole.explore()
    borders = np.sort([region.shape.corners.max() for region in whole.regions])
    atlas = Atlas(textbook, Domain({GLUCOSE: (0.5 * borders[0:2].sum(), 0.5 * borders[1:3].sum())}))
    atlas.explore()
    law = soft_law(atlas)
    column = int(np.ptp(law.affine_laws[:, 0], axis=0).argmax())
    # |v_2 - v_1| = c d, so the error is c d / (1 + exp(β d)), of which the most is c W(1/e) / β
    steep = np.ptp(law.affine_laws[:, 0, column]) / np.ptp(law.weights[:, 0])
    assert len(atlas.regions) == 2
    assert law.bound(textbook.reactions[column]) == pytest.approx(steep * 0.2784645 / law.sharpness, rel=1.0e-3)


@pytest.mark.parametrize("names", [[GLUCOSE], [GLUCOSE, OXYGEN, ACETATE, "EX_etoh_e"]], ids=len)
def test_bound_holds_for_one_input_and_for_four(textbook: Network, names: list[str]) -> None:
    widths = {GLUCOSE: 12.0, OXYGEN: 16.0, ACETATE: 4.0, "EX_etoh_e": 3.0}
    atlas = Atlas(textbook, Domain({name: (0.0, widths[name]) for name in names}))
    atlas.explore()
    law, points = soft_law(atlas), np.vstack([somewhere(atlas, 3000), corners(atlas)])
    told = list(law.card["bounds"])
    worst = np.abs(law.predict(points, told) - exact(atlas, points, told)).max(axis=0)
    assert np.all(worst <= [law.bound(name) for name in told])


def test_bound_holds_with_growth_held_back(textbook: Network) -> None:
    atlas = Atlas(textbook, Domain({GLUCOSE: (0.0, 12.0), OXYGEN: (0.5, 16.0)}), fraction_of_optimum=0.8)
    atlas.explore()
    law, points = soft_law(atlas), np.vstack([somewhere(atlas, 3000), corners(atlas)])
    told = list(law.card["bounds"])
    worst = np.abs(law.predict(points, told) - exact(atlas, points, told)).max(axis=0)
    assert np.all(worst <= [law.bound(name) for name in told])


def test_bound_tells_of_heights_that_part_nothing(small: SoftLaw) -> None:
    # a mean of all laws with equal weights errs by much, and a bound by no less
    flat = replace(small, weights=np.zeros_like(small.weights))
    points = np.linspace(0.0, 12.0, 500)[:, None]
    error = np.abs(flat.predict(points, ["EX_co2_e"]) - small.predict(points, ["EX_co2_e"])).max()
    assert flat.bound("EX_co2_e") > error - small.bound("EX_co2_e") > 1.0


def test_one_region_is_repeated_exactly(textbook: Network) -> None:
    atlas = Atlas(textbook, Domain({GLUCOSE: (9.0, 10.0)}))
    atlas.explore()
    point = np.array([[9.7]])
    assert soft_law(atlas).predict(point) == pytest.approx(atlas.batch(point).net, abs=1.0e-9)


# --- heights


def test_height_of_its_own_region_is_the_largest(law: SoftLaw) -> None:
    assert Separation.of(law.corners, law.weights, np.inf).least.min() > -1.0e-5


def test_regions_are_parted_as_far_as_their_laws(atlas: Atlas, law: SoftLaw, told: Told) -> None:
    separation, points = Separation.of(law.corners, law.weights, np.inf), list(law.corners.by_region())
    for name in (GLUCOSE, OXYGEN, ACETATE):
        planes = law.affine_laws[:, :, atlas.network.column(name)]
        span = np.ptp(exact(atlas, told.points["corners"], [name]))
        for own, _, others, depth in separation.near():
            difference = np.abs(points[own] @ (planes[others] - planes[own]).T) / span
            assert np.all(difference <= 1.01 * depth + 1.0e-5)


def test_bound_of_what_is_far_costs_nothing(atlas: Atlas, law: SoftLaw) -> None:
    near = Proof.of(law.corners, law.weights, law.sharpness)
    whole = Proof(Separation.of(law.corners, law.weights, np.inf), law.sharpness)
    assert np.mean(near.separation.least < near.separation.reach) < 0.9
    for name in ("EX_co2_e", OXYGEN, "PFK"):
        planes = law.affine_laws[:, :, atlas.network.column(name)]
        assert near.bound(planes) == pytest.approx(whole.bound(planes), rel=1.0e-3)


# --- what it says


def test_fluxes_balance_everywhere(atlas: Atlas, law: SoftLaw) -> None:
    points = np.vstack([somewhere(atlas, 500), nothing(atlas)[:200], corners(atlas)[:300]])
    fluxes = law.predict(points)
    imbalance = np.abs(atlas.network.stoichiometry @ fluxes.T).max(axis=0)
    assert np.all(imbalance <= 1.0e-9 * np.abs(fluxes).max(axis=1) + 1.0e-15)  # nothing runs where nothing is given


def test_growth_reading_is_the_flux_of_biomass(atlas: Atlas, law: SoftLaw) -> None:
    growth, biomass = law.predict(somewhere(atlas, 50), ["growth", atlas.network.biomass]).T
    assert np.array_equal(growth, biomass)


def test_named_readings_are_the_fluxes_in_the_asked_order(atlas: Atlas, law: SoftLaw) -> None:
    names, points = ["EX_co2_e", "PFK", GLUCOSE], somewhere(atlas, 20)
    expected = law.predict(points)[:, [atlas.network.column(name) for name in names]]
    assert law.predict(points, names) == pytest.approx(expected, abs=1.0e-12)


def test_one_point_gives_one_row_of_many(small: SoftLaw) -> None:
    assert small.predict([7.0]) == pytest.approx(small.predict([[3.0], [7.0]])[1], abs=1.0e-12)


def test_reaction_that_never_runs_reads_zero(small: SoftLaw) -> None:
    assert (small.predict([5.0], ["FRUpts2"])[0], small.bound("FRUpts2")) == (0.0, pytest.approx(0.0, abs=1.0e-6))


def test_card_tells_the_bounds(law: SoftLaw) -> None:
    assert law.card["bounds"]["growth"]["bound"] == law.bound("growth")


@pytest.mark.parametrize("fact", ["network_hash", "atlas", "regions", "planes", "error", "sharpness"])
def test_card_tells_its_origin(small: SoftLaw, fact: str) -> None:
    assert fact in small.card


@pytest.mark.genome
def test_minor_exchanges_and_traces_are_told_apart(ijo1366_atlas: Atlas) -> None:
    sizes = {name: bound["size"] for name, bound in soft_law(ijo1366_atlas, error=COARSE).card["bounds"].items()}
    assert {sizes[name] for name in ("growth", "shortfall", GLUCOSE, OXYGEN, "EX_co2_e", "EX_nh4_e")} == {"large"}
    assert (sizes["EX_succ_e"], sizes["EX_fe2_e"]) == ("minor", "trace")


# --- smoothness


def curvature(law: SoftLaw, step: float) -> float:
    """Largest second derivative of growth and oxygen along short lines through corners, in parts of the domain."""
    generator, width = np.random.default_rng(6), law.domain.upper - law.domain.lower
    unit = law.corners.points[generator.integers(len(law.corners.points), size=60), :-1]
    ways = (0.5 - unit) / np.linalg.norm(0.5 - unit, axis=1)[:, None]  # from each corner to the middle
    along = np.arange(0.0, 0.005, step)[:, None]
    worst = 0.0
    for start, way in zip(unit, ways, strict=True):
        values = law.predict(law.domain.lower + np.clip(start + along * way, 0.0, 1.0) * width, ["growth", OXYGEN])
        worst = max(worst, float((np.abs(np.diff(values, 2, axis=0)) / step**2 / [1.0, 16.0]).max()))
    return worst


def test_slopes_have_no_kinks(textbook_atlas: Atlas) -> None:
    law = soft_law(textbook_atlas, error=COARSE)  # over a kink, half the step would double what is measured
    assert curvature(law, 5.0e-6) == pytest.approx(curvature(law, 1.0e-5), rel=0.1)


def test_slopes_change_in_proportion_to_sharpness(textbook_atlas: Atlas) -> None:
    coarse, fine = (soft_law(textbook_atlas, error=error) for error in (COARSE, FINE))
    grown = curvature(fine, 2.0e-6) / curvature(coarse, 2.0e-6)
    assert grown <= 1.2 * fine.sharpness / coarse.sharpness


# --- growth from its planes


@pytest.fixture(scope="module")
def of_planes(atlas: Atlas, law: SoftLaw) -> SoftGrowth:
    found = law.corners
    values = found.values(law.affine_laws[:, :, [atlas.network.column(atlas.network.biomass), -1]])
    return soft_growth(atlas, found, values, 0.02)


@pytest.mark.parametrize("place", PLACES)
def test_growth_from_planes_errs_by_no_more_than_its_bound(
    atlas: Atlas, told: Told, of_planes: SoftGrowth, place: str
) -> None:
    error = of_planes(scaled(atlas.domain, told.points[place])) - told.true[place][:, 0]
    assert np.abs(error).max() <= of_planes.bound


def test_bound_of_growth_from_planes_is_nearly_met_at_a_corner(atlas: Atlas, of_planes: SoftGrowth) -> None:
    error = of_planes(scaled(atlas.domain, corners(atlas))) - exact(atlas, corners(atlas), ["growth"])[:, 0]
    assert np.abs(error).max() > 0.75 * of_planes.bound


@pytest.mark.parametrize("place", PLACES)
def test_growth_is_the_least_of_its_planes_or_zero(atlas: Atlas, told: Told, place: str) -> None:
    slopes, constants = atlas.growth_planes()
    lowest = (told.points[place] @ slopes.T + constants).min(axis=1)
    assert np.abs(np.maximum(lowest, 0.0) - told.true[place][:, 0]).max() < 1.0e-8


def test_law_can_read_growth_from_planes(textbook_atlas: Atlas) -> None:
    law, points = soft_law(textbook_atlas, error=0.02, growth="planes"), somewhere(textbook_atlas, 5000)
    growth, biomass = law.predict(points, ["growth", textbook_atlas.network.biomass]).T
    separation = np.abs(growth - biomass).max()
    assert law.bound(textbook_atlas.network.biomass) < separation <= law.bound("growth") + law.bound(law.biomass)


def test_cell_reads_growth_from_planes(textbook_atlas: Atlas) -> None:
    law, point = soft_law(textbook_atlas, error=0.02, growth="planes"), [8.0, 12.0, 1.0]
    read = law.rate_function([ACETATE, "growth"])(dict(zip(law.inputs, point, strict=True)))
    assert list(read.values()) == pytest.approx(law.predict(point, [ACETATE, "growth"]), abs=1.0e-12)


# --- in a reactor

START = {"volume": 1.0, "biomass": 2.0, "glucose": 3.0, "acetate": 0.1, "oxygen": 0.2}


@pytest.fixture(scope="module")
def batches(textbook_atlas: Atlas) -> dict[str, Trajectory]:
    """One batch that runs out of glucose and then of acetate."""
    cells: dict[str, Metabolism] = {"atlas": textbook_atlas, "law": soft_law(textbook_atlas)}
    feed = {"feed": ConstantFeed(0.0)}
    return {name: simulate(ecoli_fed_batch(), START, feed, 3.0, cell, points=60) for name, cell in cells.items()}


@pytest.mark.parametrize(
    ("quantity", "within"), [("biomass", 1.0e-3), ("glucose", 1.0e-3), ("acetate", 1.0e-3), ("shortfall", 0.02)]
)
def test_law_in_a_reactor_follows_the_atlas_in_it(batches: dict[str, Trajectory], quantity: str, within: float) -> None:
    true = batches["atlas"][quantity]
    assert batches["law"].at(quantity, batches["atlas"].time) == pytest.approx(true, abs=within * true.max())


def test_culture_on_a_soft_law_starves_to_the_end(batches: dict[str, Trajectory]) -> None:
    assert (batches["law"].time[-1], batches["law"].final("shortfall")) == (3.0, pytest.approx(8.365, abs=0.03))


@pytest.mark.parametrize("state", START)
def test_culture_on_a_soft_law_takes_nothing_that_is_not_there(batches: dict[str, Trajectory], state: str) -> None:
    assert batches["law"][state].min() >= -1.0e-6


def test_law_is_a_metabolism(small: SoftLaw) -> None:
    assert isinstance(small, Metabolism)


def test_cell_of_a_law_reads_what_it_predicts(small: SoftLaw) -> None:
    names = ["EX_co2_e", "shortfall", "growth"]
    read = small.rate_function(names)({GLUCOSE: 4.0, OXYGEN: 1.0})
    assert list(read.values()) == pytest.approx(small.predict([4.0], names), abs=1.0e-12)


@pytest.mark.parametrize("limit", [-1.0e300, -1.0e6, -1.0, 1.0e6, 1.0e300, np.inf])
def test_cell_of_a_law_stays_finite_far_outside(small: SoftLaw, limit: float) -> None:
    assert np.all(np.isfinite(list(small.rate_function(["growth", "EX_co2_e"])({GLUCOSE: limit}).values())))


def test_cell_of_a_law_takes_a_limit_above_the_domain_as_its_edge(small: SoftLaw) -> None:
    cell = small.rate_function(["growth"])
    assert cell({GLUCOSE: 500.0}) == cell({GLUCOSE: 12.0})


def test_limit_below_zero_counts_as_zero(small: SoftLaw) -> None:
    assert small.rate_function([GLUCOSE])({GLUCOSE: -0.01})[GLUCOSE] == pytest.approx(0.0, abs=1.0e-9)


def test_uptake_above_the_domain_is_not_trusted(small: SoftLaw) -> None:
    with pytest.raises(DomainError, match=r"uptake limit 13 mmol/gDW/h of EX_glc__D_e is outside"):
        small.check_limits({GLUCOSE: 13.0})


# --- refusals


def test_atlas_that_is_not_explored_is_refused(textbook: Network, domain: Domain) -> None:
    atlas = Atlas(textbook, domain)
    atlas.rates(np.array([[8.0, 12.0, 1.0]]))
    with pytest.raises(
        SurrogateError, match=r"the 1 regions known fill .*% of the domain; call atlas\.explore\(\) first"
    ):
        soft_law(atlas)


@pytest.mark.parametrize("error", [0.0, -0.01, 1.0, np.inf, np.nan])
def test_error_that_is_no_part_is_refused(textbook_atlas: Atlas, error: float) -> None:
    with pytest.raises(SurrogateError, match="give a fraction of the range of the readings, between 0 and 1"):
        soft_law(textbook_atlas, error=error)


def test_error_smaller_than_rounding_is_refused(textbook_atlas: Atlas) -> None:
    with pytest.raises(SurrogateError, match="an error of 1e-09 cannot be proved for these regions"):
        soft_law(textbook_atlas, error=1.0e-9)


def test_growth_from_elsewhere_is_refused(textbook_atlas: Atlas) -> None:
    with pytest.raises(SurrogateError, match="growth cannot be read from 'plane'; give 'fluxes' or 'planes'"):
        soft_law(textbook_atlas, growth="plane")  # type: ignore[arg-type]


def test_law_that_would_take_gigabytes_is_refused(atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[SoftLaw.__module__], "_MOST_GIGABYTES", 1.0e-6)
    with pytest.raises(SurrogateError, match=r"a law of \d+ regions would take about 0 GB; use fewer"):
        soft_law(atlas)


def test_planes_of_what_never_grows_are_refused(textbook: Network) -> None:
    atlas = Atlas(textbook, Domain({GLUCOSE: (0.0, 0.1)}))
    atlas.explore()
    with pytest.raises(SurrogateError, match="growth is not the least of its planes, or zero"):
        soft_law(atlas, growth="planes")


@pytest.mark.parametrize("ask", ["predict", "bound", "rate_function"])
def test_unknown_reading_names_the_nearest(small: SoftLaw, ask: str) -> None:
    asked = {"predict": ([5.0], ["EX_co_e"]), "bound": ("EX_co_e",), "rate_function": (["EX_co_e"],)}
    with pytest.raises(SurrogateError, match="no reading 'EX_co_e'; nearest known: EX_co2_e"):
        getattr(small, ask)(*asked[ask])


@pytest.mark.parametrize("limit", [-0.1, 12.1, np.nan])
def test_limit_outside_the_domain_is_refused(small: SoftLaw, limit: float) -> None:
    with pytest.raises(DomainError, match="EX_glc__D_e is outside"):
        small.predict([limit])
