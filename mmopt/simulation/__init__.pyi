from .simulate import simulate as simulate
from .simulate import simulate_many as simulate_many
