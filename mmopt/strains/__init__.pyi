from .plans import StrainPlans as StrainPlans
from .plans import optimise_best as optimise_best
from .ranking import Ranking as Ranking
from .ranking import rank_knockouts as rank_knockouts
