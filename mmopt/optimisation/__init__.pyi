from .elastic import Violation as Violation
from .optimise import optimise as optimise
from .options import OptimiseOptions as OptimiseOptions
from .pareto import ParetoFront as ParetoFront
from .pareto import pareto as pareto
from .scenarios import optimise_scenarios as optimise_scenarios
from .simple_feeds import best_constant as best_constant
from .simple_feeds import best_exponential as best_exponential
