"""What the exact slopes of an explored atlas say: where growth climbs steeply, and which nutrients run out there."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
