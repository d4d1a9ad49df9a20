"""The control of a plan as a table that a control system can read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mmopt.io.files import write_whole
from mmopt.problem.control import LINES

_ZERO: Final = 1.0e-5
"""Rates below this fraction of the largest, or of the largest allowed, are zero, since an interior-point method ends a little
inside its bounds; a pump does not resolve it."""


@dataclass(frozen=True)
class FeedTable:
    """A control as a table.

    Attributes
    ----------
    times
        Times [h], ascending: edges of steps (one more than rates), or the points of lines.
    rates
        Rates in ``unit``: held between two times, or values at the times of lines.
    unit
        Unit of the rates.
    name
        Name of the control.
    shape
        ``steps`` or ``lines``.
    largest
        Largest rate that the control may have.

    Examples
    --------
    >>> print(FeedTable((0.0, 1.0, 2.0), (0.0, 0.05), "L/h"))
    from [h]  to [h]  feed [L/h]
           0       1           0
           1       2        0.05
    """

    times: tuple[float, ...]
    rates: tuple[float, ...]
    unit: str
    name: str = "feed"
    shape: str = "steps"
    largest: float = 0.0

    @property
    def header(self) -> tuple[str, ...]:
        """Column names with units."""
        if self.shape == LINES:
            return ("time [h]", f"{self.name} [{self.unit}]")
        return ("from [h]", "to [h]", f"{self.name} [{self.unit}]")

    @property
    def rows(self) -> np.ndarray:
        """The table, shape (rows, columns); rates next to zero are zero."""
        rates = np.array(self.rates)
        rates = np.where(np.abs(rates) < _ZERO * np.abs(rates).max(initial=self.largest), 0.0, rates)
        if self.shape == LINES:
            return np.column_stack([self.times, rates])
        return np.column_stack([self.times[:-1], self.times[1:], rates])

    def to_csv(self, path: str | Path) -> Path:
        """Write the table as CSV; the file appears whole or not at all. Read steps with `mmopt.reactor.read_feed`.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        Path
            The file.
        """
        rate = "linear rate" if self.shape == LINES else "rate"
        header = [*self.header[:-1], f"{rate} [{self.unit}]"]
        return write_whole(
            path,
            lambda temporary: np.savetxt(
                temporary, self.rows, delimiter=",", header=",".join(header), comments="", fmt="%.8g"
            ),
        )

    def __str__(self) -> str:
        lines = ["  ".join(self.header)]
        lines += [_line(row, self.header) for row in self.rows.tolist()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in self.header)
        body = "".join(
            "<tr>" + "".join(f"<td>{value:.4g}</td>" for value in row) + "</tr>" for row in self.rows.tolist()
        )
        return f"<table><tr>{head}</tr>{body}</table>"


def _line(row: Sequence[float], header: Sequence[str]) -> str:
    return "  ".join(f"{value:{len(name)}.4g}" for value, name in zip(row, header, strict=True))
