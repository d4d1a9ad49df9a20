from .building import joined as joined
from .building import load_trajectory as load_trajectory
from .building import trajectory as trajectory
from .events import times_at as times_at
from .fluxes import flux_array as flux_array
from .over_time import Trajectory as Trajectory
from .over_time import UnknownQuantityError as UnknownQuantityError
