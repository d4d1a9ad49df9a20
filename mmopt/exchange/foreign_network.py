"""Networks of dense layers from other packages: what all formats have in common.

A network that another package trained has no flux modes. As a `Surrogate` its modes are the identity: every output is the
flux of one reaction. So everything that uses a surrogate takes it, but its fluxes need not balance.
"""

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from mmopt.errors import SurrogateError
from mmopt.fba.domain import Domain
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.io.foreign_file import ForeignFile
from mmopt.surrogate.surrogate import Layer, Surrogate

LARGEST_NETWORK: Final = 16 * 2**20
"""Most bytes of a file with a network, packed or not: two million weights; one in a reactor has some thousand."""

_READ_BY: Final = {".keras": "import_keras", ".onnx": "import_onnx"}
_OTHERS: Final = {
    ".h5": "is Keras's old format; load it with keras.saving.load_model where you trust it and save it as .keras",
    ".hdf5": "is Keras's old format; load it with keras.saving.load_model where you trust it and save it as .keras",
    ".pkl": "is a pickle, which can run anything when it is read; save the network as .keras or .onnx",
    ".pickle": "is a pickle, which can run anything when it is read; save the network as .keras or .onnx",
    ".joblib": "is a pickle, which can run anything when it is read; save the network as .keras or .onnx",
    ".pt": "is PyTorch's format, a pickle, which can run anything when it is read; write ONNX with torch.onnx.export",
    ".pth": "is PyTorch's format, a pickle, which can run anything when it is read; write ONNX with torch.onnx.export",
    ".pb": "is a TensorFlow graph, which can run anything; save the network as .keras",
}
_SCALING: Final = "x_scaled = (x - offset) / factor, y = y_scaled * factor + offset"


def network_file(path: str | Path, suffix: str, cure: str) -> ForeignFile:
    """Return a file with a network in the format of ``suffix``.

    Parameters
    ----------
    path
        The file.
    suffix
        Its expected ending.
    cure
        What to do where it cannot be used, for messages.

    Returns
    -------
    ForeignFile

    Raises
    ------
    SurrogateError
        If it has another format; the message says how to convert it.
    """
    path = Path(path)
    if path.is_dir():
        raise SurrogateError(f"{path} is a folder, as TensorFlow's SavedModel is, which can run anything; {cure}")
    kind = path.suffix.lower()
    if kind in _OTHERS:
        raise SurrogateError(f"{path} {_OTHERS[kind]}")
    if kind != suffix:
        better = f"give it to {_READ_BY[kind]}" if kind in _READ_BY else cure
        raise SurrogateError(f"{path} does not end in {suffix}; {better}")
    return ForeignFile(path, cure)


def checked_names(names: Sequence[str]) -> list[str]:
    """Return the names of readings, if there is no duplicate.

    Parameters
    ----------
    names
        The names.

    Returns
    -------
    list of str

    Raises
    ------
    SurrogateError
        If there is none, or one occurs twice.
    """
    if isinstance(names, str) or not names or len(set(names)) < len(names):
        raise SurrogateError(f"readings {names!r} cannot be exchanged; give a list of different names")
    return list(names)


def onnx_package(submodule: str = "") -> Any:
    """Import the package onnx, or a submodule of it.

    Parameters
    ----------
    submodule
        Name of the submodule.

    Returns
    -------
    module

    Raises
    ------
    SurrogateError
        If it is not installed.
    """
    try:
        return import_module(f"onnx.{submodule}" if submodule else "onnx")
    except ImportError as error:
        raise SurrogateError('ONNX files need the package onnx, which is missing: pip install "mmopt[onnx]"') from error


@np.errstate(over="ignore", invalid="ignore")  # the surrogate refuses numbers that are not finite
def imported(
    file: ForeignFile,
    chain: Sequence[Layer],
    domain: Domain,
    names: Sequence[str],
    *,
    scaling: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike],
    biomass: str,
    maintenance: tuple[str | None, float],
) -> Surrogate:
    """Build a surrogate from a chain of layers, with the scalings of its inputs and outputs folded in.

    Parameters
    ----------
    file
        The file that contains the chain.
    chain
        Dense layers from scaled limits to scaled readings.
    domain, names, biomass
        As for `import_keras`.
    scaling
        Offset and factor of the inputs, then of the outputs.
    maintenance
        The maintenance reaction, if there is one, and its demand [mmol/gDW/h].

    Returns
    -------
    Surrogate

    Raises
    ------
    SurrogateError
        If layers do not follow each other, or names or scalings do not fit.
    """
    _check_chain(file, chain, len(domain.inputs), len(checked_names(names)))
    reactions = _reactions(names, biomass, maintenance[0])
    inputs, outputs = len(domain.inputs), len(reactions)
    x_offset, y_offset = (_per(value, size, "offset") for value, size in ((scaling[0], inputs), (scaling[2], outputs)))
    x_factor, y_factor = (_per(value, size, "factor") for value, size in ((scaling[1], inputs), (scaling[3], outputs)))
    *hidden, last = chain if chain[-1].activation == "linear" else (*chain, _identity(outputs))
    layers = [*hidden, Layer(last.weights * y_factor, last.bias * y_factor + y_offset, "linear")]
    layers[0] = shifted(layers[0], x_offset, x_factor)
    return Surrogate(
        domain=domain,
        hidden=tuple(layers[:-1]),
        weights=layers[-1],
        modes=np.eye(outputs),
        offset=np.zeros(outputs),
        reactions=reactions,
        biomass=biomass,
        maintenance=maintenance[0],
        maintenance_demand=float(maintenance[1]),
        card={"kind": "dense, imported", "balanced": False, "source": file.path.name},
    )


def shifted(layer: Layer, offset: np.ndarray, factor: np.ndarray) -> Layer:
    """Return the layer that takes x where a given one takes (x - offset) / factor.

    Parameters
    ----------
    layer
        The given layer.
    offset, factor
        Shape (inputs,).

    Returns
    -------
    Layer
    """
    weights = layer.weights / factor[:, None]
    return replace(layer, weights=weights, bias=layer.bias - offset @ weights)


def _identity(size: int) -> Layer:
    return Layer(np.eye(size), np.zeros(size), "linear")


def _check_chain(file: ForeignFile, chain: Sequence[Layer], inputs: int, outputs: int) -> None:
    if not chain:
        file.refuse("holds no dense layer")
    width = inputs
    for index, layer in enumerate(chain):
        if layer.weights.ndim != 2 or layer.bias.shape != layer.weights.shape[1:]:
            file.refuse(f"holds a layer of weights {layer.weights.shape} and bias {layer.bias.shape}")
        if 0 in layer.weights.shape:
            file.refuse("holds a layer without values")
        if layer.weights.shape[0] != width:
            before = "the previous layer gives" if index else "the domain has"
            file.refuse(f"holds a layer that takes {layer.weights.shape[0]} values, but {before} {width}")
        if not np.all(np.isfinite(layer.weights)) or not np.all(np.isfinite(layer.bias)):
            file.refuse("holds weights that are not finite")
        width = layer.weights.shape[1]
    if width != outputs:
        file.refuse(f"gives {width} readings, but {outputs} were named")


def _reactions(names: Sequence[str], biomass: str, maintenance: str | None) -> tuple[str, ...]:
    if SHORTFALL in names:
        raise SurrogateError(
            f"'{SHORTFALL}' follows from the flux of the maintenance reaction; let the network give that flux, and name "
            "the reaction with maintenance= and its demand with maintenance_demand="
        )
    reactions = tuple(biomass if name == GROWTH else name for name in names)
    if len(set(reactions)) < len(reactions):
        raise SurrogateError(f"'{GROWTH}' is the flux of '{biomass}', which is named besides; name one of them")
    if maintenance is not None and maintenance not in reactions:
        raise SurrogateError(f"the maintenance reaction '{maintenance}' is not among the readings; name it there too")
    return reactions


def _per(value: ArrayLike, size: int, kind: str) -> np.ndarray:
    """One number for every input or output."""
    numbers = np.asarray(value, dtype=float)
    if numbers.shape not in ((), (size,)):
        raise SurrogateError(f"{kind} of shape {numbers.shape} does not fit {size} values; {_SCALING}")
    if not np.all(np.isfinite(numbers)) or (kind == "factor" and np.any(numbers <= 0.0)):
        raise SurrogateError(
            f"{kind} {numbers.tolist()} cannot be; give finite numbers, factors above zero; {_SCALING}"
        )
    return np.broadcast_to(numbers, (size,))
