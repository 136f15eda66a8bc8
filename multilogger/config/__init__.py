"""The configuration: typed, checked as a whole, every fault reported at once with its path.

``docs/configuration.md`` describes every key; :mod:`multilogger.config.sections` declares them.
"""

from __future__ import annotations

from multilogger.config.expect import Expect, number, one_of, seconds, url, whole
from multilogger.config.load import SECTIONS, load_config
from multilogger.config.sections import (
    Config,
    ExchangeConfig,
    HealthConfig,
    LoggerConfig,
    StorageConfig,
    SupervisionConfig,
)

__all__ = [
    "SECTIONS",
    "Config",
    "ExchangeConfig",
    "Expect",
    "HealthConfig",
    "LoggerConfig",
    "StorageConfig",
    "SupervisionConfig",
    "load_config",
    "number",
    "one_of",
    "seconds",
    "url",
    "whole",
]
