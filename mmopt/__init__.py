"""Optimal feeds and predictive control of fermentations, from genome-scale metabolic networks."""
