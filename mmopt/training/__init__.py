"""Training of surrogates, and the worst-case errors that come with them."""
