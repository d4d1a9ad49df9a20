from .collocation import transcribe as transcribe
from .compiled import CompiledProblem as CompiledProblem
from .diagnose import diagnose as diagnose
from .equations import Relaxation as Relaxation
from .program import CollocationProgram as CollocationProgram
