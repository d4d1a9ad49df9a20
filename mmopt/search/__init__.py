"""The search for an optimum of one problem: starts, solves from them, and what is done where a solve fails."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
