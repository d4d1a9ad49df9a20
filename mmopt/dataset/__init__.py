"""Tables of fluxes over a domain of uptake limits: how they are computed, saved and resumed."""
