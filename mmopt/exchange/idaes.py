"""Surrogates for IDAES flowsheets."""

from collections.abc import Sequence
from typing import Any

from mmopt.exchange.foreign_network import checked_names
from mmopt.exchange.keras_export import keras_network
from mmopt.surrogate.surrogate import Surrogate


def idaes_surrogate(surrogate: Surrogate, names: Sequence[str]) -> Any:
    """Return a surrogate in the form that IDAES puts into a flowsheet through a `SurrogateBlock`.

    Parameters
    ----------
    surrogate
        The surrogate. Its uptake limits [mmol/gDW/h] become the names of the inputs, its domain their bounds.
    names
        Readings, as for `export_keras`; they become the names of the outputs.

    Returns
    -------
    idaes.core.surrogate.keras_surrogate.KerasSurrogate
        In float64 and without scalers, since the layers take limits as they are. IDAES needs different names, so a reading
        that is an input too is named ``<id>_flux``. A block takes the surrogate with the formulation ``FULL_SPACE`` or
        ``REDUCED_SPACE``, exactly; ``evaluate_surrogate`` rounds limits to float32, as Keras's ``predict`` does.

    Raises
    ------
    SurrogateError
        If a name is unknown, or Keras or TensorFlow is not installed.

    Examples
    --------
    >>> cell = idaes_surrogate(load_surrogate("ecoli_ijo1366"), ["growth", "EX_ac_e"])
    >>> cell.input_labels(), cell.output_labels()
    (['EX_glc__D_e', 'EX_o2_e', 'EX_ac_e'], ['growth', 'EX_ac_e_flux'])
    """
    network = keras_network(surrogate, names := checked_names(names))
    from idaes.core.surrogate.keras_surrogate import KerasSurrogate

    outputs = [f"{name}_flux" if name in surrogate.inputs else name for name in names]
    return KerasSurrogate(network, list(surrogate.inputs), outputs, dict(surrogate.domain.limits))
