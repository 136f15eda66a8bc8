"""Bybit, simulated: spot, linear and inverse."""
