"""The largest assets, in order: what ``multilogger symbols --suggest`` begins with.

No listing tells how large an asset is, and no exchange is asked for it. So the order is written down here: by
market capitalization, roughly as public rankings had it in 2025. Left out are what stands for another asset
(stablecoins, wrapped and staked ones) and what most of the five spot exchanges don't trade. Last reviewed in
November 2026. The order decides which assets are among the first; those that are not here follow by how
widely they are listed.
"""

from __future__ import annotations

from typing import Final

LARGEST_ASSETS: Final[tuple[str, ...]] = (
    *("BTC", "ETH", "XRP", "BNB", "SOL", "TRX", "DOGE", "ADA", "HYPE", "LINK"),
    *("BCH", "XLM", "LTC", "ZEC", "HBAR", "AVAX", "SUI", "SHIB", "UNI", "DOT"),
    *("TAO", "AAVE", "NEAR", "ETC", "ICP", "PEPE", "APT", "ENA", "ONDO", "POL"),
    *("WLD", "ARB", "ALGO", "ATOM", "FIL", "VET", "RENDER", "SEI", "BONK", "QNT"),
    *("JUP", "OP", "INJ", "TIA", "STX", "FET", "IMX", "CRV", "LDO", "GRT"),
    *("XTZ", "SAND", "MANA", "DASH", "ENS", "AXS", "RUNE", "CHZ", "EGLD", "FLOW"),
)
"""The largest first."""
