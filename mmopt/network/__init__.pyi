from .gene_rules import reactions_lost as reactions_lost
from .linear_limit import LinearLimit as LinearLimit
from .network import Network as Network
from .reading import read_network as read_network
from .variants import knock_out as knock_out
from .variants import set_bounds as set_bounds
from .variants import set_medium as set_medium
from .variants import set_objective as set_objective
