from .ecoli import ecoli_fed_batch as ecoli_fed_batch
from .modes import batch as batch
from .modes import chemostat as chemostat
from .modes import fed_batch as fed_batch
from .modes import perfusion as perfusion
from .modes import turned_into as turned_into
