"""Bioreactors as systems of named states, and their simulation."""
