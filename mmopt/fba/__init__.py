"""The flux program (lexicographic parsimonious FBA) and the atlas of its critical regions."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
