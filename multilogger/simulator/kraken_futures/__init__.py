"""Kraken Futures, simulated."""
