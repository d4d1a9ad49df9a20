from .closed_loop import Plant as Plant
from .closed_loop import run_closed_loop as run_closed_loop
from .controller import Controller as Controller
from .controller import Move as Move
from .estimator import Estimator as Estimator
