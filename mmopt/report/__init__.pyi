from .plots import plot_architecture_search as plot_architecture_search
from .plots import plot_closed_loop as plot_closed_loop
from .plots import plot_feeds as plot_feeds
from .plots import plot_parity as plot_parity
from .plots import plot_trajectories as plot_trajectories
from .plots import save_figure as save_figure
from .report import write_report as write_report
