"""What is maximised over several scenarios of a problem."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Goal:
    """What is maximised over several scenarios.

    Attributes
    ----------
    shares
        Weights of the scenarios in the mean, which add up to one.
    worst
        Whether the worst scenario counts in place of the mean.
    """

    shares: np.ndarray
    worst: bool

    def value(self, objectives: Sequence[float]) -> float:
        """Return the goal.

        Parameters
        ----------
        objectives
            Objective of every scenario.

        Returns
        -------
        float
        """
        return float(np.min(objectives)) if self.worst else float(np.dot(self.shares, objectives))

    def of(self, numbers: Sequence[int]) -> "Goal":
        """Return the goal of some of the scenarios.

        Parameters
        ----------
        numbers
            The scenarios.

        Returns
        -------
        Goal
        """
        shares = self.shares[list(numbers)]
        return replace(self, shares=shares / shares.sum())
