from .modes import simulate_cycles as simulate_cycles
from .modes import steady_state as steady_state
from .simulate import simulate as simulate
from .simulate import simulate_many as simulate_many
