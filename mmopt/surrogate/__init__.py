"""A smooth stand-in for the cell whose fluxes balance by construction."""
