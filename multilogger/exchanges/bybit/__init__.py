"""Bybit: its spot market, and its linear and inverse contracts, which are exchanges of their own here."""
