"""Two made-up exchanges, and how the tests of the configuration load a file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs
import pytest

from multilogger.config import Config, ExchangeConfig, load_config, one_of
from multilogger.errors import ConfigError


@attrs.frozen(kw_only=True)
class AlphaConfig(ExchangeConfig):
    """An exchange with options of its own."""

    ws_endpoint: str = "wss://alpha.example/ws"
    rest_endpoint: str = "https://alpha.example"
    stream: str = attrs.field(default="trade", validator=one_of("trade", "aggTrade"))
    depth: Literal[5, 10] = 5
    weight: float | None = None
    tags: list[str] = attrs.field(factory=list)


@attrs.frozen(kw_only=True)
class BetaConfig(ExchangeConfig):
    """An exchange with a validator of attrs' own."""

    ws_endpoint: str = "wss://beta.example/ws"
    rest_endpoint: str = "https://beta.example"
    region: str = attrs.field(default="eu", validator=attrs.validators.in_(["eu", "us"]))


TYPES: dict[str, type[ExchangeConfig]] = {"alpha": AlphaConfig, "beta": BetaConfig}
DATA = '[logger]\ndata_path = "/data"\n'


def load(text: str, env: dict[str, str] | None = None) -> Config:
    """Load a file logger.toml of ``text`` from the working directory."""
    Path("logger.toml").write_text(text, encoding="utf-8")
    return load_config(None, env or {}, TYPES)


def faults_of(text: str, env: dict[str, str] | None = None) -> list[str]:
    """Return the faults of a file."""
    with pytest.raises(ConfigError) as caught:
        load(text, env)
    return caught.value.faults
