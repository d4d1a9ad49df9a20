"""Work in other processes: a pool on this machine, or the workers of a Dask cluster."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
