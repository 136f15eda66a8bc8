"""Whether this process may give its files to the configured groups: known before anything is touched."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from multilogger.config.policy import UNCHANGED, ExchangePolicy
from multilogger.errors import ConfigError

_CAP_CHOWN: Final = 1 << 0
"""See capabilities(7)."""


def may_give_to(gid: int) -> bool:
    """Return whether the kernel lets this process change a file of its own to group ``gid``."""
    return gid in {os.getegid(), *os.getgroups()} or bool(_effective_capabilities() & _CAP_CHOWN)


def _effective_capabilities() -> int:
    # Not by the user id: in a container root may lack them.
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("CapEff:"):
            return int(line.removeprefix("CapEff:"), 16)
    return 0


def check_groups(
    policies: Mapping[str, ExchangePolicy], may_give: Callable[[int], bool] = may_give_to
) -> None:
    """Check that new files can be given to the groups that are configured.

    Args:
        policies: those of the exchanges, by name.
        may_give: whether files can be given to the group of a number.

    Raises:
        ConfigError: they can't, a line for each exchange.
    """
    faults = [
        f"exchanges.{name}.group: this process may not give files to group {policy.gid}: make its user a "
        f"member (docker run --group-add {policy.gid}), or leave the group out"
        for name, policy in policies.items()
        if policy.gid != UNCHANGED and not may_give(policy.gid)
    ]
    if faults:
        raise ConfigError(faults)
