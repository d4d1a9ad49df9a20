"""The only modules that call solvers; they translate every solver's status into a `Status`."""

__all__: list[str] = []
