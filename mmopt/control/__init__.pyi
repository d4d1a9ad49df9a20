from .closed_loop import ClosedLoop as ClosedLoop
from .closed_loop import load_closed_loop as load_closed_loop
from .closed_loop import run_closed_loop as run_closed_loop
from .controller import Controller as Controller
from .controller import Move as Move
from .estimator import Estimator as Estimator
from .gate import Gate as Gate
from .plant import Plant as Plant
