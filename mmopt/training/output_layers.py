"""What the last layer of a surrogate combines, and the fit of the hidden ones before it.

Three ways: ``conic``, non-negative weights on extreme answers; ``linear``, any weights on flux modes; ``rates``, growth and
exchange rates one by one, as most dense surrogates do. In all of them a `Surrogate` comes out.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from mmopt.dataset.tabulate import Progress
from mmopt.errors import SurrogateError
from mmopt.fba.domain import Domain
from mmopt.network.network import Network
from mmopt.surrogate.surrogate import Layer, Surrogate, chained
from mmopt.training.alternate_optima import tie
from mmopt.training.conic_generators import combined, extreme_answers
from mmopt.training.fit import Fit, fit, least_squares
from mmopt.training.joint_fit import Goal, polish
from mmopt.training.modes import counted, counting, flux_modes, rate_modes, shares

_START_LABELS, _START_STEPS = 1024, 40
"""FluxBatch and steps with which the starts are told apart."""

_STEEP: Final = {"tanh": (3.0, 2.0), "sigmoid": (6.0, 4.0), "softplus": (4.0, 2.0)}
"""Slope of the first bends over half the domain, and of the later ones. Over starts 0 to 3, 1,000 labels of iJO1366 and 60
steps, tanh bends of slope 3 end at losses of 0.0005 to 0.0008, of 2 at 0.0009 to 0.0059; Glorot's start is ten times worse."""

_SOFT: Final = 0.12
"""Softness of a non-negative weight, in parts of its largest value. On iJO1366, seeds 0 to 4, what is wanted was reached after
2 to 7 rounds with 0.12; with 0.06 after 4 to 8, and by one seed in 11 not."""

_BELOW: Final = 0.15
"""How far below zero the first fit is sent where a weight is zero, in parts of its largest value."""

_NEXT_TO_NOTHING: Final = 1.0e-6
"""A weight below this part of its largest value is none."""

_AT_ONCE: Final = 2
"""Starts that are tried at once."""

_FIRST: Final = 20
"""Steps of that first fit: it only has to come near."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """FluxBatch, and how they are to be learnt.

    Attributes
    ----------
    network, domain
        Whose answers, and the box of the inputs.
    inputs, fluxes
        Shapes (labels, inputs) and (labels, reactions) [mmol/gDW/h].
    widths, activation
        Of the hidden layers.
    iterations, starts, seed
        Steps of the fit, starts that are tried, and the seed of both.
    start
        A surrogate whose fit is gone on with.
    progress
        Called with (done, total) after every step.
    """

    network: Network
    domain: Domain
    inputs: np.ndarray
    fluxes: np.ndarray
    widths: tuple[int, ...]
    activation: str
    iterations: int
    starts: int
    seed: int
    start: Surrogate | None
    progress: Progress | None

    @property
    def unit(self) -> np.ndarray:
        """Inputs scaled to [-1, 1]."""
        unit: np.ndarray = (self.inputs - self.middle) / self.half
        return unit

    @property
    def middle(self) -> np.ndarray:
        """Middle of the domain."""
        middle: np.ndarray = (self.domain.lower + self.domain.upper) / 2.0
        return middle

    @property
    def half(self) -> np.ndarray:
        """Half of the domain's width."""
        half: np.ndarray = (self.domain.upper - self.domain.lower) / 2.0
        return half


@dataclass(frozen=True, eq=False)
class Learnt:
    """The parts of a surrogate that a fit decides, the loss it reached, and the fluxes that were tied to growth."""

    hidden: tuple[Layer, ...]
    weights: Layer
    modes: np.ndarray
    offset: np.ndarray
    loss: float
    tied: tuple[str, ...] = ()


def conic(lesson: Lesson) -> Learnt:
    """Non-negative weights on extreme answers: whatever the input, fluxes balance and run nothing backwards."""
    share, readings = shares(lesson.network, lesson.domain, lesson.fluxes)
    fluxes, tied = tie(lesson.network, lesson.fluxes, readings)
    counts = counting(fluxes, share, readings)
    unit = lesson.unit
    if lesson.start is None:
        modes = extreme_answers(lesson.network, lesson.domain.inputs, fluxes, counts, lesson.seed)
        weights = combined(fluxes, counts, modes)
        soft = _SOFT * weights.max(axis=0)
    else:
        modes, soft, start = _gone_on(lesson, lesson.start)
    goal = Goal(unit, fluxes @ counts, soft[:, None] * (modes @ counts), lesson.activation)
    progress = lesson.progress
    if lesson.start is None:
        start = _best_conic(lesson, goal, weights / soft)
        progress = _after(progress, lesson.starts * _START_STEPS, lesson.starts * _START_STEPS + lesson.iterations)
    found = polish(goal, start, lesson.iterations, progress)
    *hidden, last = _layers(lesson, found)
    # the weights are the softplus of what the network gives, times their softness
    return Learnt(
        (*hidden, Layer(last.weights, last.bias, "softplus")),
        Layer(np.diag(soft), np.zeros(len(soft)), "linear"),
        modes,
        np.zeros(len(lesson.network.reactions)),
        found.loss,
        tied,
    )


def _best_conic(lesson: Lesson, goal: Goal, weights: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The best of some starts on some of the labels: near by variable projection, then all layers at once."""
    random = np.random.default_rng(lesson.seed)
    some = random.permutation(len(goal.inputs))[:_START_LABELS]
    few = replace(goal, inputs=goal.inputs[some], wanted=goal.wanted[some])
    below = np.where(weights > _NEXT_TO_NOTHING / _SOFT, weights, -_BELOW / _SOFT)[some]
    begun = [_start(goal.inputs.shape[1], lesson.widths, lesson.activation, random) for _ in range(lesson.starts)]

    def fitted(start: list[tuple[np.ndarray, np.ndarray]]) -> Fit:
        near = fit(few.inputs, below, start, lesson.activation, steps=min(_FIRST, lesson.iterations))
        layers = list(zip(near.weights, near.biases, strict=True))
        return polish(few, layers, min(_START_STEPS, lesson.iterations))

    tried = []
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for number, found in enumerate(threads.map(fitted, begun)):
            tried.append(found)
            if lesson.progress is not None:
                lesson.progress((number + 1) * _START_STEPS, lesson.starts * _START_STEPS + lesson.iterations)
    best = min(tried, key=lambda each: each.loss)
    return list(zip(best.weights, best.biases, strict=True))


def linear(lesson: Lesson) -> Learnt:
    """Any weights on flux modes: fluxes balance, and may run reactions backwards by as much as they err."""
    share, _ = shares(lesson.network, lesson.domain, lesson.fluxes)
    modes, offset = flux_modes(lesson.network, lesson.fluxes)
    return _projected(lesson, modes, offset, share)


def rates(lesson: Lesson) -> Learnt:
    """Growth, maintenance and exchange rates one by one: nothing balances."""
    share, _ = shares(lesson.network, lesson.domain, lesson.fluxes)
    return _projected(lesson, rate_modes(lesson.network, lesson.fluxes), np.zeros(len(lesson.network.reactions)), share)


def _projected(lesson: Lesson, modes: np.ndarray, offset: np.ndarray, share: np.ndarray) -> Learnt:
    """The hidden layers by variable projection, and the best linear layer for them."""
    wanted = (lesson.fluxes - offset) @ np.linalg.pinv(modes)
    errors = counted(modes, wanted, share)
    if lesson.start is None:
        found = _best(lesson, wanted @ errors)
    else:
        start = _scaled(lesson, lesson.start.hidden)
        found = fit(
            lesson.unit,
            wanted @ errors,
            start,
            lesson.activation,
            steps=lesson.iterations,
            progress=lesson.progress,
        )
    hidden = _layers(lesson, found)[:-1]
    values = chained(hidden, lesson.inputs)
    _, last = least_squares(np.column_stack([values, np.ones(len(values))]), wanted)  # also modes that hardly count
    return Learnt(hidden, Layer(last[:-1], last[-1], "linear"), modes, offset, found.loss)


def _best(lesson: Lesson, wanted: np.ndarray) -> Fit:
    """The best of some starts on some of the labels, then fitted to all of them."""
    random, unit = np.random.default_rng(lesson.seed), lesson.unit
    some = random.permutation(len(unit))[:_START_LABELS]
    short = min(_START_STEPS, lesson.iterations)
    whole = lesson.starts * short + lesson.iterations
    tried = []
    for number in range(lesson.starts):
        start = _start(unit.shape[1], lesson.widths, lesson.activation, random)
        tried.append(fit(unit[some], wanted[some], start, lesson.activation, steps=short))
        if lesson.progress is not None:
            lesson.progress((number + 1) * short, whole)
    best = min(tried, key=lambda each: each.loss)
    start = list(zip(best.weights[:-1], best.biases[:-1], strict=True))
    progress = _after(lesson.progress, lesson.starts * short, whole)
    return fit(unit, wanted, start, lesson.activation, steps=lesson.iterations, progress=progress)


def _after(progress: Progress | None, before: int, whole: int) -> Callable[[int, int], None] | None:
    """Progress of a part of the work, told as that of the whole."""
    if progress is None:
        return None
    return lambda done, _: progress(min(whole, before + done), whole)


def _start(
    inputs: int, widths: Sequence[int], activation: str, random: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Bends of the first layer through random points of the box in random directions; then random sums of them."""
    first, later = _STEEP[activation]
    normals = random.normal(size=(inputs, widths[0]))
    normals *= first / np.linalg.norm(normals, axis=0)
    through = random.uniform(-1.0, 1.0, (inputs, widths[0]))
    layers = [(normals, -np.sum(normals * through, axis=0))]
    for before, width in pairwise(widths):
        weights = random.normal(size=(before, width)) * later / np.sqrt(before)
        layers.append((weights, random.uniform(-1.0, 1.0, width)))
    return layers


def _layers(lesson: Lesson, found: Fit) -> tuple[Layer, ...]:
    """All layers of a fit, the scaling of the inputs folded into the first."""
    first, *later = (
        Layer(weights, bias, lesson.activation) for weights, bias in zip(found.weights, found.biases, strict=True)
    )
    weights = first.weights / lesson.half[:, None]
    return (Layer(weights, first.bias - lesson.middle @ weights, lesson.activation), *later)


def _scaled(lesson: Lesson, hidden: Sequence[Layer]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Hidden layers of a surrogate as the start of a fit in scaled inputs."""
    first, *later = hidden
    if [layer.weights.shape[1] for layer in hidden[: len(lesson.widths)]] != list(lesson.widths) or any(
        layer.activation != lesson.activation for layer in hidden[: len(lesson.widths)]
    ):
        raise SurrogateError(
            f"the surrogate to start from has other layers than {list(lesson.widths)} {lesson.activation}; give hidden= and "
            "activation= as it was trained with, or no start"
        )
    scaled = (first.weights * lesson.half[:, None], first.bias + lesson.middle @ first.weights)
    return [scaled, *((layer.weights, layer.bias) for layer in later)]


def _gone_on(lesson: Lesson, start: Surrogate) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Modes, softness and layers of a surrogate with non-negative weights."""
    if not start.conic:
        raise SurrogateError("the surrogate to start from was not trained with basis='conic'; give the basis it has")
    return start.modes, np.diag(start.weights.weights).copy(), _scaled(lesson, start.hidden)
