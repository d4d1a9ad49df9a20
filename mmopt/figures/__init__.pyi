from .campaigns import plot_campaign as plot_campaign
from .fluxes import plot_fluxes as plot_fluxes
from .style import save_figure as save_figure
from .surrogates import plot_architecture_search as plot_architecture_search
from .surrogates import plot_parity as plot_parity
from .trajectories import plot_closed_loop as plot_closed_loop
from .trajectories import plot_feeds as plot_feeds
from .trajectories import plot_trajectories as plot_trajectories
