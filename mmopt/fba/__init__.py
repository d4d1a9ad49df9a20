"""The flux program (lexicographic parsimonious FBA) and the atlas of its critical regions."""
