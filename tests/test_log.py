"""The log: its formats, what of the libraries it shows, and what it masks."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from multilogger.log import MASK, configure_logging, mask_secrets


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Return the JSON lines written."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail_to_connect() -> None:
    """Fail with credentials in the message."""
    raise OSError("no answer from https://me:hunter2@example.com/x?api_key=abc&n=1")


def test_json_lines() -> None:
    """Each event is one JSON object with level and an ISO time in UTC."""
    stream = io.StringIO()
    configure_logging("auto", "info", stream)
    structlog.get_logger("x").info("connected", exchange="alpha", text="zwei\nZeilen ü")
    (line,) = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("timestamp"))
    assert line == {"event": "connected", "exchange": "alpha", "text": "zwei\nZeilen ü", "level": "info"}


def test_console_on_a_terminal() -> None:
    """On a terminal a line is for people, in colour."""
    stream = Terminal()
    configure_logging("auto", "info", stream)
    structlog.get_logger().warning("cut", exchange="alpha")
    assert "\x1b[" in stream.getvalue()
    assert "cut" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


@pytest.mark.parametrize(("log_format", "stream"), [("console", io.StringIO()), ("json", Terminal())])
def test_the_format_may_be_forced(log_format: str, stream: io.StringIO) -> None:
    """A format that is asked for does not depend on the stream."""
    configure_logging(log_format, "info", stream)
    structlog.get_logger().info("cut")
    assert stream.getvalue().startswith("{") == (log_format == "json")


def test_levels() -> None:
    """Own lines below the level are left out."""
    stream = io.StringIO()
    configure_logging("json", "warning", stream)
    log = structlog.get_logger()
    log.info("quiet")
    log.warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_an_early_logger_follows() -> None:
    """A logger that was used before the set-up, or under another one, follows the newest."""
    log = structlog.get_logger()
    for stream in (io.StringIO(), io.StringIO()):
        configure_logging("json", "info", stream)
        log.info("here")
        assert [line["event"] for line in lines(stream)] == ["here"]


def test_libraries_from_warnings_upward() -> None:
    """The libraries' lines come in the same format, with their logger's name, and not below a warning."""
    stream = io.StringIO()
    configure_logging("json", "debug", stream)
    logging.getLogger("httpx").info("HTTP Request: GET")
    logging.getLogger("hypercorn.error").warning("slow %s", "client")
    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["level"]) == ("slow client", "hypercorn.error", "warning")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_tracebacks_are_masked_too(log_format: str) -> None:
    """A traceback is written once, and what a URL in it carries of secrets is not."""
    stream = io.StringIO()
    configure_logging(log_format, "info", stream)
    try:
        fail_to_connect()
    except OSError:
        structlog.get_logger().exception("failed")
        logging.getLogger("lib").exception("failed as well")
    text = stream.getvalue()
    assert text.count("Traceback") == 2
    assert "hunter2" not in text
    assert "abc" not in text
    assert f"https://{MASK}@example.com/x?api_key={MASK}&n=1" in text


@pytest.mark.parametrize(
    "key", ["api_key", "apiKey", "client_secret", "Password", "auth_token", "X-Signature"]
)
def test_secret_keys_are_masked(key: str) -> None:
    """The value of a key that names a secret is masked, however deep it stands."""
    event = mask_secrets(None, "info", {"event": "e", "a": {"b": [{key: "hunter2"}]}, key: b"hunter2"})
    assert event == {"event": "e", "a": {"b": [{key: MASK}]}, key: MASK}


@given(st.dictionaries(st.sampled_from(["event", "url", "n"]), st.integers() | st.text() | st.none()))
def test_what_is_no_secret_stays(event: dict[str, Any]) -> None:
    """Values without credentials are left as they are."""
    plain = {key: value for key, value in event.items() if "://" not in str(value) and "=" not in str(value)}
    assert mask_secrets(None, "info", dict(plain)) == plain
