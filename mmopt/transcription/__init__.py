"""From a problem to a nonlinear program: collocation, the compiled problem, and the plan read back from it."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
