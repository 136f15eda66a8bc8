"""Kraken spot, simulated."""
