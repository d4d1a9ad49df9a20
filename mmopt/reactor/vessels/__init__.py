"""Vessels: *E. coli* in a bench fermenter, the modes of operation, and the same at another scale."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
