"""Binance: spot, and the futures that share most of its dialect."""
