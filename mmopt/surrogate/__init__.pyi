from .embed import embed as embed
from .error_report import ErrorReport as ErrorReport
from .loading import load_surrogate as load_surrogate
from .soft_law import SoftLaw as SoftLaw
from .soft_law import soft_law as soft_law
from .surrogate import Surrogate as Surrogate
from .surrogate_file import shipped_surrogates as shipped_surrogates
