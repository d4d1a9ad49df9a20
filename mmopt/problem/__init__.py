"""Dynamic optimisation problems: what is to be optimised, over which horizon, with which controls."""
