"""Tables of fluxes over a domain of uptake limits: how they are computed, saved and resumed."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
