from .flux_table import FluxTable as FluxTable
from .flux_table import load_table as load_table
from .tabulate import tabulate_fluxes as tabulate_fluxes
