"""Optimal feeds and predictive control of fermentations, from genome-scale metabolic networks.

The names here are those a first script needs; each folder has more (`mmopt.network`, `mmopt.fba`, ...). Names are loaded
on first use, so that `import mmopt` is instant and TensorFlow is imported only by what needs it.
"""

import sys as _sys

import lazy_loader as _lazy

if _sys.flags.optimize > 1:
    raise ImportError("Pyomo reads its docstrings, and so mmopt cannot do without them; run Python without -OO")

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
