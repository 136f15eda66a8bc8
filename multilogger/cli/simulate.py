"""``multilogger simulate``: the simulated exchanges alone, or recorded frames played by one of them."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import trio

from multilogger.cli.common import check_readable, check_writable, positive, run_trio, wall_clock
from multilogger.cli.simulated import add_market_options, disturb
from multilogger.errors import StartupError
from multilogger.log import configure_logging
from multilogger.simulator.playback import open_playback
from multilogger.simulator.venues import VENUES, AnyVenue, demo_venues
from multilogger.supervision.shutdown import signalled


def add_parser(commands: Any) -> None:
    """Add the command's parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "simulate",
        help="serve simulated exchanges on loopback",
        description="Serve simulated exchanges, or recorded frames, on loopback until SIGTERM or SIGINT. "
        "The first line of output names the endpoints, as JSON.",
    )
    parser.add_argument(
        "--exchange", action="append", choices=sorted(VENUES), help="only this one; may be repeated"
    )
    add_market_options(parser)
    parser.add_argument("--ledger", type=Path, metavar="DIR", help="write down there what is sent")
    parser.add_argument(
        "--playback", nargs="+", type=Path, metavar="FILE", help="play these recordings instead of a market"
    )
    parser.add_argument(
        "--speed", type=positive, metavar="X", help="times the recorded pace (default: as fast as possible)"
    )
    parser.set_defaults(command_main=main)


def main(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; print the endpoints as one JSON line first."""
    configure_logging("auto", "info")
    if arguments.playback and len(arguments.exchange or ()) != 1:
        raise StartupError("--playback needs --exchange: whose protocol are the recordings in?")
    if arguments.playback and arguments.late:
        raise StartupError("--late is for markets: recordings are played as they are")
    run_trio(_serve, _venues(arguments), arguments.late, arguments.seed)
    return 0


def _venues(arguments: argparse.Namespace) -> list[AnyVenue]:
    if arguments.playback:
        check_readable(arguments.playback)
        return [open_playback(arguments.exchange[0], arguments.playback, wall_clock, speed=arguments.speed)]
    if arguments.ledger:
        check_writable(arguments.ledger)
    names = arguments.exchange or tuple(VENUES)
    return demo_venues(arguments.seed, arguments.rate, wall_clock, arguments.ledger, names=names)


async def _serve(venues: list[AnyVenue], late: float, seed: int) -> None:
    async with trio.open_nursery() as nursery:
        for venue in venues:
            await nursery.start(venue.run)
        disturb(venues, late, seed)
        endpoints = {
            venue.name: {"ws_endpoint": venue.ws_url, "rest_endpoint": venue.rest_url} for venue in venues
        }
        await trio.to_thread.run_sync(partial(print, json.dumps(endpoints), file=sys.stdout, flush=True))
        await signalled()
        nursery.cancel_scope.cancel()
