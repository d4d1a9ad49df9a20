"""The only doors to solvers; their endings become our words here."""

__all__: list[str] = []
