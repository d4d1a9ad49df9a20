"""Figures of trajectories, closed loops, surrogates and architecture searches: one function per figure.

Every function returns a new figure, which a notebook shows as it is; no window is opened and no setting is changed.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
