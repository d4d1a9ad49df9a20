"""Dynamic optimisation problems: what is to be optimised, over which horizon, with which controls."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
