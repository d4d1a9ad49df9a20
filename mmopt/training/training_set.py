"""What a training is given: fluxes at points, and its settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmopt.dataset.tabulate import Progress
from mmopt.fba.domain import Domain
from mmopt.network.network import Network
from mmopt.sensitivity.cliffs import Cliff
from mmopt.surrogate.surrogate import Surrogate


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Fluxes at points, and the settings of a training.

    Attributes
    ----------
    network, domain
        The network, and the box of the inputs.
    inputs, fluxes
        Shapes (points, inputs) and (points, reactions) [mmol/gDW/h].
    widths, activation
        Widths and activation of the hidden layers.
    iterations, starts, seed
        Most steps or epochs of the fit, number of starts, and the seed of both.
    start
        A surrogate from which the fit continues.
    progress
        Called with (done, total) after every step.
    cliffs
        Cliffs of growth, of which the points are left out.
    switches
        Whether fixed units turn off the uptake of what is not there.
    callbacks
        Callbacks for Keras.
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
    start: Surrogate | None = None
    progress: Progress | None = None
    cliffs: Sequence[Cliff] = ()
    switches: bool = False
    callbacks: Sequence[Any] = ()

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
