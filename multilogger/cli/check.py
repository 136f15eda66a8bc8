"""``multilogger check``: would it run here, and what to do if not."""

from __future__ import annotations

import argparse
import os
import resource
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import httpx
import trio
from rich.console import Console

from multilogger.cli.common import add_config_option, make_exchange, read_config, run_trio, wall_clock
from multilogger.config import Config
from multilogger.config.policy import storage_policy
from multilogger.connection.connector import make_connector
from multilogger.connection.http import open_http_client
from multilogger.errors import FeedError, StartupError
from multilogger.exchanges.base import Services
from multilogger.supervision.permissions import check_groups

_LOW_DISK_BYTES: Final = 5 * 1024**3
_LOW_FILE_LIMIT: Final = 1024
_CLOCK_OFFSET_SECS: Final = 2.0
"""An HTTP Date has whole seconds: an offset below this can't be told from none."""
_ANSWER_SECS: Final = 10.0


@attrs.frozen
class Finding:
    """The result of one check."""

    what: str
    good: bool
    detail: str
    """What was found; what to do about it where it is not good."""


def add_parser(commands: Any) -> None:
    """Add the command's parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "check",
        help="test configuration, disk, clock and endpoints",
        description="Test whether the logger would run here, and tell what to do if not.",
    )
    add_config_option(parser)
    parser.set_defaults(command_main=main)


def main(arguments: argparse.Namespace) -> int:
    """Check everything, print each finding; return 1 if something is to be done."""
    config = read_config(arguments.config)
    findings = [
        Finding("configuration", good=True, detail=f"exchanges: {', '.join(config.exchanges) or 'none'}"),
        *_check_disk(config.logger.data_path, config.storage.disk_reserve_bytes),
        _check_groups(config),
        _check_file_limit(),
        *run_trio(partial(_check_exchanges, config)),
    ]
    console = Console(soft_wrap=True)
    for finding in findings:
        mark = "[green]ok  [/green]" if finding.good else "[red]FAIL[/red]"
        console.print(f"{mark} {finding.what}: ", end="")
        console.print(finding.detail, markup=False, highlight=False)
    return 0 if all(finding.good for finding in findings) else 1


def _check_groups(config: Config) -> Finding:
    try:
        check_groups(storage_policy(config))
    except StartupError as fault:
        return Finding("groups of files", good=False, detail=str(fault))
    return Finding("groups of files", good=True, detail="this user may give files to them")


def _check_disk(data_path: Path, reserve: int) -> list[Finding]:
    try:
        data_path.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        why = f"{data_path}: {fault.strerror}: create it, or set logger.data_path"
        return [Finding("data path", good=False, detail=why)]
    if not os.access(data_path, os.W_OK | os.X_OK):
        why = f"{data_path} is not writable by user id {os.getuid()}: change its owner or mode"
        return [Finding("data path", good=False, detail=why)]
    free = shutil.disk_usage(data_path).free
    enough = free >= max(_LOW_DISK_BYTES, 2 * reserve)
    advice = "" if enough else f" and {reserve / 1e9:.1f} GB reserved: free some, or move logger.data_path"
    room = f"{free / 1e9:.1f} GB free{advice}"
    return [
        Finding("data path", good=True, detail=f"{data_path} is writable"),
        Finding("disk", good=enough, detail=room),
    ]


def _check_file_limit() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft == resource.RLIM_INFINITY or soft >= _LOW_FILE_LIMIT
    advice = "" if enough else f": raise it to {_LOW_FILE_LIMIT} or more (ulimit -n)"
    return Finding("open files", good=enough, detail=f"limit {soft}{advice}")


async def _check_exchanges(config: Config) -> list[Finding]:
    findings: dict[tuple[str, int], Finding] = {}

    async def note(key: tuple[str, int], check: Callable[..., Any], *args: Any) -> None:
        findings[key] = await check(*args)

    async with trio.open_nursery() as nursery:
        for name, settings in config.exchanges.items():
            if settings.enabled:
                nursery.start_soon(note, (name, 0), _check_rest, name, settings.rest_endpoint)
                nursery.start_soon(note, (name, 1), _check_websocket, name, config)
    return [findings[key] for key in sorted(findings)]


async def _check_rest(name: str, endpoint: str) -> Finding:
    """Ask for the endpoint itself: any answer, even a 404, tells that it is there, and what time it has."""
    what = f"{name} REST and clock"
    try:
        async with httpx.AsyncClient(timeout=_ANSWER_SECS) as client:
            answer = await client.get(endpoint)
    except httpx.HTTPError as failure:
        words = str(failure) or type(failure).__name__
        return Finding(what, good=False, detail=f"{endpoint}: {words}: check network, DNS and proxy")
    stamp = answer.headers.get("Date")
    if stamp is None:
        detail = f"{endpoint} answers; it tells no time to compare the clock with"
        return Finding(what, good=True, detail=detail)
    return _judge_clock(what, endpoint, parsedate_to_datetime(stamp))


def _judge_clock(what: str, endpoint: str, theirs: datetime) -> Finding:
    offset = (datetime.fromtimestamp(wall_clock() / 1e9, UTC) - theirs).total_seconds()
    good = abs(offset) <= _CLOCK_OFFSET_SECS
    detail = f"{endpoint} answers; this clock is {offset:+.1f} s from its"
    return Finding(what, good=good, detail=detail if good else f"{detail}: synchronise it (NTP)")


async def _check_websocket(name: str, config: Config) -> Finding:
    what = f"{name} WebSocket"
    endpoint = config.exchanges[name].ws_endpoint
    async with open_http_client() as http, trio.open_nursery() as nursery:
        services = Services(http_get=http.get, connector=make_connector(wall_clock))
        connection = make_exchange(name, config, services).create_connection(())
        try:
            with trio.fail_after(_ANSWER_SECS):
                await connection.connect(nursery)
        except (FeedError, trio.TooSlowError) as failure:
            words = str(failure) or f"no answer within {_ANSWER_SECS:.0f} s"
            finding = Finding(what, good=False, detail=f"{words}: check network, DNS and proxy")
        else:
            finding = Finding(what, good=True, detail=f"{endpoint} accepts connections")
            await connection.aclose()
        nursery.cancel_scope.cancel()
    return finding
