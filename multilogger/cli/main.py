"""``multilogger``, that is ``python -m multilogger``: finds the command and says what went wrong."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from multilogger import __version__
from multilogger.cli import check, coverage, demo, replay, run, seal, simulate, symbols, verify
from multilogger.errors import MultiloggerError, StartupError

_COMMANDS: Final = (run, demo, check, symbols, verify, coverage, seal, replay, simulate)

EXIT_FAILED: Final = 1
EXIT_UNUSABLE: Final = 2


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="multilogger",
        description="Record public market data of many exchanges into plain binary column files.",
        epilog="Without a command, run is meant.",
    )
    parser.add_argument("--version", action="version", version=f"multilogger {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


def with_command(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with ``run`` in front where they name no command."""
    if arguments and (not arguments[0].startswith("-") or arguments[0] in ("-h", "--help", "--version")):
        return list(arguments)
    return ["run", *arguments]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0 done, 1 failed, 2 can't start as asked."""
    parsed = build_parser().parse_args(with_command(sys.argv[1:] if arguments is None else arguments))
    try:
        status: int = parsed.command_main(parsed)
    except StartupError as fault:
        for line in str(fault).splitlines():
            sys.stderr.write(f"multilogger: {line}\n")
        return EXIT_UNUSABLE
    except MultiloggerError as failure:
        sys.stderr.write(f"multilogger: {failure}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 128 + 2
    return status
