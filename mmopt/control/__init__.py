"""Dynamic optimisation and closed-loop control."""
