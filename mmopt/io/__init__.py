"""Files: written completely or not at all, sealed, and refused where their content is hostile."""

__all__: list[str] = []
