"""What the cell does: networks, the label program, and labels sampled from it."""
