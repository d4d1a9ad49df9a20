"""A controller beside a real plant: modes, a journal that a killed process continues from, and OPC UA."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
