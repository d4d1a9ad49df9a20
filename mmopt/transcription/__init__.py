"""From a problem to a nonlinear program: collocation, the compiled problem, and the plan read back from it."""
