from .cliffs import Cliff as Cliff
from .cliffs import growth_cliffs as growth_cliffs
