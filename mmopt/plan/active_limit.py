"""A limit that is active in an optimum: when it is, and what one more unit of it is worth."""

from dataclasses import asdict, dataclass
from typing import Any

Span = tuple[float, float]


@dataclass(frozen=True)
class ActiveLimit:
    """A limit that is active in an optimum.

    Attributes
    ----------
    name, side
        The limited quantity or control, and ``lowest`` or ``highest``.
    limit, unit
        The limit.
    spans
        Time spans in which it is active [h]; the same time twice at the end of the batch.
    worth, objective_unit
        Gain of the objective for one more unit of room, at all times (to first order).

    Examples
    --------
    >>> print(ActiveLimit("volume", "highest", 3.0, "L", ((12.0, 12.0),), 9.1, "g"))
    volume is at its highest allowed value, 3 L (at the end): one L more is worth 9.1 g
    """

    name: str
    side: str
    limit: float
    unit: str
    spans: tuple[Span, ...]
    worth: float
    objective_unit: str

    def __str__(self) -> str:
        when = ", ".join("at the end" if low == high else f"{low:.1f} to {high:.1f} h" for low, high in self.spans)
        unit = f" {self.unit}" if self.unit else ""
        more = "more" if self.side == "highest" else "less"
        return (
            f"{self.name} is at its {self.side} allowed value, {self.limit:g}{unit} ({when}): one{unit} {more} is worth "
            f"{self.worth:.2g} {self.objective_unit}".rstrip()
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)
