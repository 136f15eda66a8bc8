"""Record public market data of many exchanges into plain binary column files."""

__version__ = "0.1.0"
