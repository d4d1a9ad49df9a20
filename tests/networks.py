"""Small surrogates for tests; their numbers mean nothing."""

import numpy as np

from mmopt.fba import Domain
from mmopt.surrogate import Surrogate
from mmopt.surrogate.surrogate import Layer

BOX = Domain({"EX_glc__D_e": (0.0, 10.0), "EX_o2_e": (0.0, 16.0)})


def chain(widths: list[int], activations: list[str], seed: int) -> list[Layer]:
    """Dense layers with weights and biases of mixed signs."""
    rng = np.random.default_rng(seed)
    sizes = zip(widths[:-1], widths[1:], activations, strict=True)
    return [Layer(rng.normal(size=(a, b)) / np.sqrt(a), rng.normal(size=b), kind) for a, b, kind in sizes]


def small_surrogate(activation: str = "tanh", seed: int = 0) -> Surrogate:
    """Two inputs, two hidden layers, four modes of six reactions, one of which never moves."""
    rng = np.random.default_rng(seed + 1)
    *hidden, weights = chain([2, 6, 5, 4], [activation, activation, "linear"], seed)
    modes, offset = rng.normal(size=(4, 6)), rng.normal(size=6)
    modes[:, 3] = offset[3] = 0.0
    return Surrogate(
        domain=BOX,
        hidden=tuple(hidden),
        weights=weights,
        modes=modes,
        offset=offset,
        reactions=("BIOMASS", "ATPM", "EX_glc__D_e", "EX_rest_e", "EX_o2_e", "EX_ac_e"),
        biomass="BIOMASS",
        maintenance="ATPM",
        maintenance_demand=3.15,
        card={"kind": "small", "seed": seed, "held_out": {"growth": {"worst": 0.1}}},
    )


def uniform(domain: Domain, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(domain.lower, domain.upper, (count, len(domain.inputs)))
