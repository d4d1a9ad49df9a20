from .changes import largest_changes as largest_changes
from .pathways import PATHWAYS as PATHWAYS
from .pathways import shown_reactions as shown_reactions
from .ranges import flux_ranges as flux_ranges
from .turnover import carbon_shares as carbon_shares
from .turnover import respiratory_quotient as respiratory_quotient
from .turnover import turnover as turnover
from .turnover import yields as yields
