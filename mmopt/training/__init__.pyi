from .architecture_search import ArchitectureSearch as ArchitectureSearch
from .architecture_search import Trial as Trial
from .architecture_search import search_architectures as search_architectures
from .train import train as train
from .train_to_error import train_to_error as train_to_error
from .worst_case_errors import with_error_report as with_error_report
from .worst_case_errors import worst_case_errors as worst_case_errors
