"""The only doors to solvers; their endings become our words here."""
