from .active_limits import ActiveLimit as ActiveLimit
from .collocation import transcribe as transcribe
from .compiled import CompiledProblem as CompiledProblem
from .diagnose import diagnose as diagnose
from .plan import replay as replay
