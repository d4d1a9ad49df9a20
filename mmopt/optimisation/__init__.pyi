from .optimise import optimise as optimise
from .pareto import ParetoFront as ParetoFront
from .pareto import pareto as pareto
from .scale_up import ScaleUp as ScaleUp
from .scale_up import scaled as scaled
from .scenarios import optimise_scenarios as optimise_scenarios
from .simple_feeds import best_constant as best_constant
from .simple_feeds import best_exponential as best_exponential
