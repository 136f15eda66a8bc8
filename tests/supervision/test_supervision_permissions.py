"""Groups that files are given to, judged before anything is touched."""

from __future__ import annotations

import os

import pytest

from multilogger.config.policy import ExchangePolicy
from multilogger.errors import ConfigError
from multilogger.supervision import permissions
from multilogger.supervision.permissions import check_groups, may_give_to


def test_groups_that_can_be_given_to() -> None:
    """Nothing is said where no group is configured, or one that may be given to."""
    check_groups({"alpha": ExchangePolicy(), "beta": ExchangePolicy(gid=5)}, may_give=[5].__contains__)


def test_groups_that_can_not_be_given_to() -> None:
    """Each exchange whose group is out of reach has a line with the key and what to do."""
    policies = {name: ExchangePolicy(gid=gid) for name, gid in (("alpha", 5), ("beta", 6), ("gamma", 7))}
    with pytest.raises(ConfigError) as caught:
        check_groups(policies, may_give=[6].__contains__)
    first, second = caught.value.faults
    assert first.startswith(
        "exchanges.alpha.group: this process may not give files to group 5: make its user"
    )
    assert second.startswith("exchanges.gamma.group: ")


def test_own_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the capability a process may give its files to its own groups alone."""
    monkeypatch.setattr(permissions, "_effective_capabilities", lambda: 0)
    assert all(map(may_give_to, [os.getegid(), *os.getgroups()]))
    assert not may_give_to(4_000_000_000)


def test_privileged(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the capability any group will do."""
    monkeypatch.setattr(permissions, "_effective_capabilities", lambda: 0x3F)
    assert may_give_to(4_000_000_000)


def test_capabilities_are_read() -> None:
    """The kernel tells the capabilities of this process."""
    assert permissions._effective_capabilities() >= 0
