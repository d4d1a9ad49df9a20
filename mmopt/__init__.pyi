from .control import Controller as Controller
from .control import Estimator as Estimator
from .control import Move as Move
from .control import Plant as Plant
from .control import run_closed_loop as run_closed_loop
from .dataset import FluxTable as FluxTable
from .dataset import tabulate_fluxes as tabulate_fluxes
from .errors import DomainError as DomainError
from .errors import InfeasibleError as InfeasibleError
from .errors import MmoptError as MmoptError
from .errors import NetworkError as NetworkError
from .errors import SolverError as SolverError
from .errors import StudyError as StudyError
from .errors import SurrogateError as SurrogateError
from .fba import Atlas as Atlas
from .fba import Domain as Domain
from .fba import FluxProgram as FluxProgram
from .fba import pfba as pfba
from .network import Network as Network
from .network import read_network as read_network
from .optimisation import OptimiseOptions as OptimiseOptions, optimise as optimise
from .problem import Control as Control
from .problem import Horizon as Horizon
from .problem import Objective as Objective
from .problem import Problem as Problem
from .reactor import Bioreactor as Bioreactor
from .reactor import ConstantFeed as ConstantFeed
from .reactor import ExponentialFeed as ExponentialFeed
from .reactor import Metabolism as Metabolism
from .reactor import StepFeed as StepFeed
from .reactor import System as System
from .reactor import ecoli_fed_batch as ecoli_fed_batch
from .reactor import read_feed as read_feed
from .reactor import simulate as simulate
from .report import write_report as write_report
from .results import Trajectory as Trajectory
from .results import load_trajectory as load_trajectory
from .status import Status as Status
from .study import Study as Study
from .study import read_study as read_study
from .surrogate import Surrogate as Surrogate
from .surrogate import load_surrogate as load_surrogate
from .training import train as train
from .training import train_to_error as train_to_error
from .transcription import Plan as Plan, load_plan as load_plan

__version__: str
