"""What the storage is to do for each exchange, with names looked up: permissions and retention."""

from __future__ import annotations

import grp
from collections.abc import Callable
from typing import Final

import attrs

from multilogger.config.expect import show
from multilogger.config.sections import Config, ExchangeConfig
from multilogger.errors import ConfigError

_MOST_GID: Final = 2**32 - 2
"""The number after it is the kernel's word for no change."""
UNCHANGED: Final = -1
"""A ``gid`` that leaves a file the process's own group."""


@attrs.frozen(kw_only=True)
class ExchangePolicy:
    """One exchange's files; the defaults are those of its configuration."""

    file_mode: int = 0o644
    """Permissions of new files."""
    directory_mode: int = 0o755
    """Permissions of new directories."""
    gid: int = UNCHANGED
    """Group of new files and directories, or :data:`UNCHANGED`."""
    retention_days: int = 0
    """Sealed days older than this are removed; 0 keeps them."""
    retention_bytes: int = 0
    """The oldest sealed days are removed while the files take more than this; 0 keeps them."""


def group_number(name: str) -> int:
    """Return the number of a group of this machine.

    Raises:
        KeyError: there is none of that name.
    """
    return grp.getgrnam(name).gr_gid


def storage_policy(
    config: Config, find_group: Callable[[str], int] = group_number
) -> dict[str, ExchangePolicy]:
    """Return the policy of each exchange that has a section, whether it runs or not.

    Args:
        config: its exchanges count.
        find_group: returns a group's number, or raises KeyError.

    Raises:
        ConfigError: groups that are not there, one line each.
    """
    faults: list[str] = []
    groups = {
        name: _gid(name, exchange.group, find_group, faults) for name, exchange in config.exchanges.items()
    }
    if faults:
        raise ConfigError(faults)
    return {name: _policy(exchange, groups[name]) for name, exchange in config.exchanges.items()}


def _policy(exchange: ExchangeConfig, gid: int) -> ExchangePolicy:
    mode = int(exchange.file_mode, 8)
    return ExchangePolicy(
        file_mode=mode,
        directory_mode=mode | (mode & 0o444) >> 2,
        gid=gid,
        retention_days=exchange.retention_days,
        retention_bytes=exchange.retention_bytes,
    )


def _gid(exchange: str, group: str, find_group: Callable[[str], int], faults: list[str]) -> int:
    if not group:
        return UNCHANGED
    key = f"exchanges.{exchange}.group"
    if group.isascii() and group.isdecimal():
        if int(group) <= _MOST_GID:
            return int(group)
        faults.append(f"{key}: expected a number of at most {_MOST_GID}, got {show(group)}")
        return UNCHANGED
    try:
        return find_group(group)
    except KeyError:
        faults.append(f"{key}: no group {show(group)} on this machine: create it, or give its number")
        return UNCHANGED
