"""Solving dynamic optimisation problems: initial guesses, multi-start, mesh refinement, constraint back-off."""
