from .switches import Switches as Switches
from .variable_projection import variable_projection as variable_projection
