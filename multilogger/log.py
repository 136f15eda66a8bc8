"""The log: for people on a terminal, as JSON lines otherwise, and never with a secret in it."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK: Final = "***"
_SECRET_KEY: Final = re.compile(
    r"secret|token|passw|passphrase|api_?key|private_?key|credential|authorization|signature", re.IGNORECASE
)
_URL_USER: Final = re.compile(r"(?<=://)[^\s/?#@]+@")
_URL_SECRET: Final = re.compile(
    rf"(?<=[?&])([^\s=&]*(?:{_SECRET_KEY.pattern})[^\s=&]*=)[^\s&#]+", re.IGNORECASE
)


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask the values of keys that name secrets, and what URLs carry of them; a structlog processor."""
    return {key: _masked(key, value) for key, value in event.items()}


def _masked(key: object, value: Any) -> Any:
    if _SECRET_KEY.search(str(key)):
        return MASK
    if isinstance(value, str):
        return _URL_SECRET.sub(rf"\g<1>{MASK}", _URL_USER.sub(f"{MASK}@", value))
    if isinstance(value, Mapping):
        return {inner: _masked(inner, part) for inner, part in value.items()}
    if isinstance(value, list | tuple):
        return [_masked("", part) for part in value]
    return value


def configure_logging(log_format: str, level: str, stream: TextIO | None = None) -> None:
    """Set up structlog and, through it, the standard library's logging; may be called again.

    The libraries' own log lines (hypercorn, httpx, …) come out in the same format, from warnings upward.

    Args:
        log_format: ``console``, ``json``, or ``auto``: console if ``stream`` is a terminal, else json.
        level: the lowest level of the program's own lines: ``debug``, ``info``, ``warning``, ...
        stream: where the lines go; standard error by default.
    """
    out = sys.stderr if stream is None else stream
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask_secrets,
    ]
    renderer = _renderer(log_format, out)
    structlog.configure(
        processors=[*common, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
        # Not cached: a logger made at import has to follow a later call of this function.
        cache_logger_on_first_use=False,
    )
    _route_standard_library(common, renderer, out)


def _renderer(log_format: str, out: TextIO) -> Processor:
    terminal = out.isatty()
    if log_format == "console" or (log_format == "auto" and terminal):
        plain = structlog.dev.plain_traceback  # it was formatted before the secrets were masked
        return structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=plain)
    return structlog.processors.JSONRenderer(default=str, ensure_ascii=False)


def _route_standard_library(common: list[Processor], renderer: Processor, out: TextIO) -> None:
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_add_logger_name, *common],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)


def _add_logger_name(
    _logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    event["logger"] = event["_record"].name
    return event
