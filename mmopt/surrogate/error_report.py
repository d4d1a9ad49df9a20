"""The error report of a surrogate: its worst errors against the exact fluxes, as plain numbers."""

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
"""Where the worst errors are searched."""

OFF_CLIFFS: Final = "off cliffs"
"""Zone of a domain with cliffs, where growth climbs steeply with one input: everywhere but on them and close beside."""

_WHOLE: Final = "whole domain"

_SECTIONS: Final = ("readings", "checks", "consumption", "zero", "outside", "search")

_WITHOUT_SIZE: Final = ("unit", "by", "balance")
"""Entries that stay where fluxes and limits are scaled."""


@dataclass(frozen=True, eq=False)
class ErrorReport:
    """Worst errors of a surrogate, as plain numbers that JSON can hold.

    Attributes
    ----------
    readings
        By name: ``range`` over the domain, ``mean`` error, ``unit``, and by zone the ``worst`` error and the inputs ``at``
        which it occurs.
    checks
        ``balance``: largest imbalance of a metabolite, relative to the largest flux. ``backwards``: largest flux of an
        irreversible reaction in the wrong direction [mmol/gDW/h]. Both inside the domain and up to three times its width
        outside.
    consumption
        By input: largest uptake beyond its limit [mmol/gDW/h], and the inputs ``at`` which it occurs.
    zero
        By reading: what is left of it where no uptake is allowed, where the exact value is zero.
    outside
        ``above``: worst errors up to 5 % of its width beyond the upper end of the domain. ``below``: largest change of readings
        up to 2 % below its lower end, where there is no exact value.
    search
        Extent of the search: ``regions``, ``borders``, ``points``, ``starts``, ``seed``, ``coverage``.

    Examples
    --------
    >>> report = load_surrogate("ecoli_ijo1366").error_report
    >>> report.relative("growth") < 0.01
    True
    """

    readings: Mapping[str, Mapping[str, Any]]
    checks: Mapping[str, float]
    consumption: Mapping[str, Mapping[str, Any]]
    zero: Mapping[str, float]
    outside: Mapping[str, Mapping[str, Any]]
    search: Mapping[str, Any]

    def worst(self, name: str, zone: str = _WHOLE) -> float:
        """Return the largest error of a reading.

        Parameters
        ----------
        name
            The reading.
        zone
            One of the zones that were searched.

        Returns
        -------
        float
            In the unit of the reading.

        Raises
        ------
        SurrogateError
            If the report does not contain it.
        """
        zones = self.readings.get(name, {}).get("zones", {})
        if zone not in zones:
            raise SurrogateError(
                f"the error report does not contain '{name}' in '{zone}'; it contains {', '.join(self.readings)} in "
                f"{', '.join(ZONES)}"
            )
        return float(zones[zone]["worst"])

    def relative(self, name: str, zone: str = _WHOLE) -> float:
        """Return the largest error of a reading as a fraction of its range over the domain; 0 for one that is constant.

        Parameters
        ----------
        name, zone
            As for `worst`.

        Returns
        -------
        float

        Raises
        ------
        SurrogateError
            As for `worst`.
        """
        error, span = self.worst(name, zone), float(self.readings[name]["range"])
        return error / span if span else 0.0

    def counted(self, name: str) -> float:
        """Return the error that is compared with the wanted one: off cliffs where there are some, else everywhere.

        Parameters
        ----------
        name
            The reading.

        Returns
        -------
        float
            Fraction of the range.

        Raises
        ------
        SurrogateError
            As for `worst`.
        """
        zones = self.readings.get(name, {}).get("zones", {})
        return self.relative(name, OFF_CLIFFS if OFF_CLIFFS in zones else _WHOLE)

    @property
    def facts(self) -> dict[str, str]:
        """Worst error of every reading with its unit, in words."""
        return {
            f"worst error of {name}": f"{self.worst(name):.4g} {row['unit']}" for name, row in self.readings.items()
        }

    def as_dict(self) -> dict[str, Any]:
        """Return all sections, as a card contains them."""
        return {name: plain(getattr(self, name)) for name in _SECTIONS}

    def scaled(self, factor: float) -> "ErrorReport":
        """Return the report of the surrogate whose limits and fluxes are all ``factor`` times as large.

        Parameters
        ----------
        factor
            The factor, above zero.

        Returns
        -------
        ErrorReport
        """

        def times(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {name: entry if name in _WITHOUT_SIZE else times(entry) for name, entry in value.items()}
            return factor * value if isinstance(value, int | float) else value

        return ErrorReport.of({**times(self.as_dict()), "search": self.search})

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> "ErrorReport":
        """Build a report from the sections on a card.

        Parameters
        ----------
        card
            The sections by name.

        Returns
        -------
        ErrorReport

        Raises
        ------
        SurrogateError
            If a section is missing.
        """
        missing = [name for name in _SECTIONS if not isinstance(card.get(name), Mapping)]
        if missing:
            raise SurrogateError(
                f"the error report on the card has no section {', '.join(missing)}; compute it again with with_error_report"
            )
        return cls(*(card[name] for name in _SECTIONS))

    def __str__(self) -> str:
        """A table: the worst errors by zone, as fractions of the range."""
        more_zones = [OFF_CLIFFS] if any(OFF_CLIFFS in entry["zones"] for entry in self.readings.values()) else []
        shown = [*ZONES, *more_zones]
        head = f"{'reading':14}{'worst':>10}  {'unit':10}" + "".join(f"{zone:>14}" for zone in shown)
        rows = [
            f"{name:14}{self.worst(name):10.4f}  {entry['unit']:10}"
            + "".join(
                f"{self.relative(name, zone):14.2%}" if zone in entry["zones"] else f"{'none':>14}" for zone in shown
            )
            for name, entry in self.readings.items()
        ]
        more = max((float(entry["worst"]) for entry in self.consumption.values()), default=0.0)
        checks = (
            f"imbalance {self.checks['balance']:.1e} of the largest flux; backwards {self.checks['backwards']:.1e} mmol/gDW/h; "
            f"taken up beyond a limit {more:.3f} mmol/gDW/h"
        )
        return "\n".join([head, *rows, checks])

    def __repr__(self) -> str:
        worst = max(self.readings, key=self.relative, default="")
        most = f", at most {self.relative(worst):.1%} of the range ({worst})" if worst else ""
        return f"ErrorReport of {len(self.readings)} readings{most}"


def training_notes(card: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the card of a surrogate has to say before it is used: errors not reached, cliffs, missing regions.

    Parameters
    ----------
    card
        The card.

    Returns
    -------
    tuple of str
        Sentences; empty if there is nothing to say.

    Examples
    --------
    >>> from mmopt.surrogate.error_report import training_notes
    >>> training_notes({"training_rounds": {"reached": False, "ended": "all rounds were done"}})
    ('The wanted errors are not reached: all rounds were done.',)
    """
    rounds, notes = card.get("training_rounds"), []
    if isinstance(rounds, Mapping) and rounds.get("reached") is False:
        excess = min(rounds.get("excess") or [0.0])
        why = rounds.get("ended") or f"the largest error is {excess:.2f} times what is wanted"
        notes.append(f"The wanted errors are not reached: {why}.")
    notes += [f"No error is wanted on a cliff: {text}." for text in card.get("cliff_notes") or ()]
    if isinstance(missing := card.get("domain_note"), str):
        notes.append(missing)
    return tuple(notes)


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it.

    Parameters
    ----------
    value
        A number, also NumPy's, a text, or a mapping of such.

    Returns
    -------
    object
    """
    if isinstance(value, Mapping):
        return {name: plain(entry) for name, entry in value.items()}
    return value.item() if isinstance(value, np.generic) else value
