"""Least squares for small dense networks: variable projection, and the switches beside trained layers."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
