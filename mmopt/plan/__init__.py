"""Plans: what an optimisation returns, with its feed table and its record."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
