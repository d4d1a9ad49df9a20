from .ranking import Ranking as Ranking
from .ranking import rank_knockouts as rank_knockouts
