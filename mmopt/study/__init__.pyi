from .schema import Study as Study
from .schema import read_study as read_study
