from .elastic import Violation as Violation
from .multi_start import Search as Search
from .options import OptimiseOptions as OptimiseOptions
from .starts import simple_starts as simple_starts
