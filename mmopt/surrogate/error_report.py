"""The error report of a surrogate: its worst errors against the exact answer, as plain numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mmopt.errors import SurrogateError

ZONES: Final = {
    "whole domain": "everywhere",
    "starvation": "where the maintenance demand cannot be met",
    "borders": "where two critical regions meet",
    "inside": "well inside critical regions, a tenth of the way from their borders",
}
"""Where the worst errors are looked for."""

_PARTS: Final = ("readings", "laws", "consumption", "zero", "outside", "looked")


@dataclass(frozen=True, eq=False)
class ErrorReport:
    """What was found, as plain numbers that JSON can hold.

    Attributes
    ----------
    readings
        By name: ``range`` over the domain, ``mean`` error, ``unit``, and for each zone the ``worst`` error and ``at``
        which inputs it is.
    laws
        ``balance``: largest imbalance of a metabolite, relative to the largest flux. ``backwards``: largest flux of an
        irreversible reaction the wrong way [mmol/gDW/h]. Both inside the domain and up to three times its width outside.
    consumption
        By input: by how much more than its limit is taken up at most [mmol/gDW/h], and ``at`` which inputs.
    zero
        By reading: what is left of it where no uptake is allowed, where the exact answer is zero.
    outside
        ``above``: worst errors up to 5 % of its width beyond the upper end of the domain. ``below``: how far readings move at
        most up to 2 % below its lower end, where there is no exact answer.
    looked
        How it was looked for: ``regions``, ``borders``, ``points``, ``starts``, ``seed``, ``coverage``.
    """

    readings: Mapping[str, Mapping[str, Any]]
    laws: Mapping[str, float]
    consumption: Mapping[str, Mapping[str, Any]]
    zero: Mapping[str, float]
    outside: Mapping[str, Mapping[str, Any]]
    looked: Mapping[str, Any]

    def worst(self, name: str, zone: str = "whole domain") -> float:
        """Largest error found of a reading, in its unit.

        Raises
        ------
        SurrogateError
            If the certificate does not tell it.
        """
        told = self.readings.get(name, {}).get("zones", {})
        if zone not in told:
            raise SurrogateError(
                f"the certificate does not tell '{name}' in '{zone}'; it tells {', '.join(self.readings)} in "
                f"{', '.join(ZONES)}"
            )
        return float(told[zone]["worst"])

    def relative(self, name: str, zone: str = "whole domain") -> float:
        """The same in parts of the reading's range over the domain."""
        return self.worst(name, zone) / float(self.readings[name]["range"])

    def as_dict(self) -> dict[str, Any]:
        """All of it, as a card holds it."""
        return {name: plain(getattr(self, name)) for name in _PARTS}

    def scaled(self, factor: float) -> "ErrorReport":
        """The certificate of the surrogate whose limits and fluxes are all ``factor`` times as large."""
        kept = ("unit", "by", "balance")

        def times(told: Any) -> Any:
            if isinstance(told, Mapping):
                return {name: each if name in kept else times(each) for name, each in told.items()}
            return factor * told if isinstance(told, int | float) else told

        return ErrorReport.of({**times(self.as_dict()), "looked": self.looked})

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "ErrorReport":
        """Read the certificate of a card.

        Raises
        ------
        SurrogateError
            If a part is missing.
        """
        missing = [name for name in _PARTS if not isinstance(told.get(name), Mapping)]
        if missing:
            raise SurrogateError(
                f"the card's certificate has no part {', '.join(missing)}; certify the surrogate again"
            )
        return cls(*(told[name] for name in _PARTS))

    def __str__(self) -> str:
        """A table: the worst errors by zone, in parts of the range."""
        head = f"{'reading':14}{'worst':>10}  {'unit':10}" + "".join(f"{zone:>14}" for zone in ZONES)
        rows = [
            f"{name:14}{self.worst(name):10.4f}  {told['unit']:10}"
            + "".join(
                f"{self.relative(name, zone):14.2%}" if zone in told["zones"] else f"{'none':>14}" for zone in ZONES
            )
            for name, told in self.readings.items()
        ]
        more = max((float(each["worst"]) for each in self.consumption.values()), default=0.0)
        laws = (
            f"imbalance {self.laws['balance']:.1e} of the largest flux; backwards {self.laws['backwards']:.1e} mmol/gDW/h; "
            f"taken up beyond a limit {more:.3f} mmol/gDW/h"
        )
        return "\n".join([head, *rows, laws])


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return value.item() if isinstance(value, np.generic) else value
