from .run import Progress as Progress
from .run import Run as Run
from .run import open_run as open_run
from .schema import Study as Study
from .schema import read_study as read_study
from .stages import run_study as run_study
