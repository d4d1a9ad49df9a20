"""What figures need of the objects that they show; the objects themselves are defined in layers above."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np


class ShownTrajectory(Protocol):
    """Quantities over time, such as a `mmopt.Trajectory`."""

    @property
    def data(self) -> Any:
        """Dataset with ``units`` and ``kind`` of every quantity."""

    @property
    def time(self) -> np.ndarray:
        """Times [h]."""

    def __getitem__(self, name: str) -> np.ndarray:
        """Values of a quantity."""

    def names(self, kind: str) -> tuple[str, ...]:
        """Names of the quantities of a kind."""

    def final(self, name: str) -> float:
        """Last value of a quantity."""


class ShownMove(Protocol):
    """A decision of a controller."""

    @property
    def controls(self) -> Mapping[str, float]:
        """Value of every control."""

    @property
    def seconds(self) -> float:
        """Seconds that it took."""

    @property
    def fallback(self) -> str:
        """Name of the fallback; empty if there was none."""


class ShownStep(Protocol):
    """A step of a closed loop."""

    @property
    def time(self) -> float:
        """When it begins [h]."""

    @property
    def move(self) -> ShownMove:
        """The decision."""


class ShownLoop(Protocol):
    """A closed loop, such as a `mmopt.control.ClosedLoop`."""

    @property
    def trajectory(self) -> ShownTrajectory:
        """What the plant did."""

    @property
    def steps(self) -> Sequence[ShownStep]:
        """Every step."""


class ShownCampaign(Protocol):
    """Batches under control, such as a `mmopt.control.Campaign`."""

    @property
    def data(self) -> Any:
        """Dataset of quantities along ``seed`` and ``time``."""

    @property
    def objectives(self) -> np.ndarray:
        """Objective of every batch."""


class ShownTrial(Protocol):
    """A trained architecture."""

    @property
    def activation(self) -> str:
        """Its activation."""

    @property
    def worst(self) -> float:
        """Worst error as a fraction of the range."""

    @property
    def size(self) -> int:
        """Number of weights."""

    @property
    def cost(self) -> float | None:
        """Cost; None if there is none."""

    @property
    def layers(self) -> str:
        """Its layers in words."""


class ShownSearch(Protocol):
    """A search for architectures, such as a `mmopt.training.ArchitectureSearch`."""

    @property
    def trials(self) -> Sequence[Any]:
        """All trials."""

    @property
    def successes(self) -> Sequence[ShownTrial]:
        """Trials that led to a surrogate."""

    def pareto_front(self) -> Sequence[ShownTrial]:
        """Return the trials that no other one dominates."""
