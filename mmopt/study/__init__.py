"""Study files: their schema, and the stages of a run."""
