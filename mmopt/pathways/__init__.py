"""What fluxes over time mean: turnover of a metabolite, yields, carbon, changes, ranges, and pathways."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
