"""Components of a vessel, whose terms add up: feeds, outflows, gas transfer, products, and what slows uptake down."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
