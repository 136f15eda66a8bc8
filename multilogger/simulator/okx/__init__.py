"""OKX, simulated."""
