"""``multilogger run``: log until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import random
from functools import partial
from typing import Any

from multilogger.cli.common import (
    add_config_option,
    favour_the_event_loop,
    read_config,
    run_trio,
    set_up_logging,
    wall_clock,
)
from multilogger.exchanges.catalog import exchange_types
from multilogger.supervision.shutdown import signalled
from multilogger.supervision.tree import Plan, run_tree


def add_parser(commands: Any) -> None:
    """Add the command's parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "run",
        help="log until SIGTERM or SIGINT",
        description="Log until SIGTERM or SIGINT; then write what was accepted, and end with status 0.",
    )
    add_config_option(parser)
    parser.set_defaults(command_main=main)


def main(arguments: argparse.Namespace) -> int:
    """Log; return 0 after an orderly stop."""
    config = read_config(arguments.config)
    set_up_logging(config)
    plan = Plan(
        config=config,
        exchange_types=exchange_types(),
        stop_requested=signalled,
        clock=wall_clock,
        random=random.Random(),  # noqa: S311 - jitter, no secret
        read_config=partial(read_config, arguments.config),
    )
    favour_the_event_loop()
    run_trio(run_tree, plan)
    return 0
