"""The keys of storage, permissions and retention: what is accepted, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from config_tools import DATA, AlphaConfig, BetaConfig, faults_of, load

from multilogger.config import Config, LoggerConfig
from multilogger.config.policy import ExchangePolicy, group_number, storage_policy
from multilogger.errors import ConfigError

MODE = "permissions in octal that let the owner read and write, such as 0640"


@pytest.mark.usefixtures("at_work")
def test_all_values_arrive() -> None:
    """Every key of storage, permissions and retention is taken as it stands."""
    config = load(
        DATA + '[storage]\njournal_alternate = "/mnt/spare"\napplier = "thread"\nseal_after_secs = 60\n'
        "accept_days_back = 30\ndisk_reserve_bytes = 0\nearly_retention = true\n"
        "[exchanges.alpha]\nretention_days = 90\nretention_bytes = 5000\n"
        'file_mode = "0640"\ngroup = "research"\n'
    )
    storage, alpha = config.storage, config.exchanges["alpha"]
    assert (storage.journal_alternate, storage.applier, storage.seal_after_secs) == (
        Path("/mnt/spare"),
        "thread",
        60.0,
    )
    assert (storage.accept_days_back, storage.disk_reserve_bytes, storage.early_retention) == (30, 0, True)
    assert (alpha.retention_days, alpha.retention_bytes) == (90, 5000)
    assert (alpha.file_mode, alpha.group) == ("0640", "research")


@pytest.mark.usefixtures("at_work")
def test_permissions_from_the_environment() -> None:
    """Octal digits in a variable stay text: they are no number there either."""
    names = ("FILE_MODE", "GROUP")
    env = {
        f"MULTILOGGER__EXCHANGES__ALPHA__{name}": value
        for name, value in zip(names, ("0660", "10"), strict=True)
    }
    alpha = load(DATA, env).exchanges["alpha"]
    assert (alpha.file_mode, alpha.group) == ("0660", "10")


CASES = [
    ("storage", "journal_alternate = ''", 'a path, not empty and without ~, got ""'),
    ("storage", "applier = 'fork'", 'one of "process", "thread", got "fork"'),
    ("storage", "seal_after_secs = 0", "a number between 0.01 and 86400, got 0"),
    ("storage", "seal_after_secs = 86401", "a number between 0.01 and 86400, got 86401"),
    ("storage", "accept_days_back = 0", "a whole number between 1 and 100000, got 0"),
    ("storage", "disk_reserve_bytes = -1", f"a whole number between 0 and {2**50}, got -1"),
    ("storage", "disk_reserve_bytes = '1 GiB'", f'a whole number between 0 and {2**50}, got "1 GiB"'),
    ("storage", "early_retention = 'yes'", 'true or false, got "yes"'),
    ("exchanges.alpha", "retention_days = -1", "a whole number between 0 and 100000, got -1"),
    ("exchanges.alpha", "retention_days = 1.5", "a whole number between 0 and 100000, got 1.5"),
    ("exchanges.alpha", "retention_bytes = -1", f"a whole number between 0 and {2**50}, got -1"),
    ("exchanges.alpha", "file_mode = 0o640", f"{MODE}, got 416"),
    ("exchanges.alpha", "file_mode = '0440'", f'{MODE}, got "0440"'),
    ("exchanges.alpha", "file_mode = '0888'", f'{MODE}, got "0888"'),
    ("exchanges.alpha", "file_mode = '04644'", f'{MODE}, got "04644"'),
    ("exchanges.alpha", "file_mode = ''", f'{MODE}, got ""'),
    ("exchanges.alpha", "group = 'a b'", 'a group\'s name or number, or nothing, got "a b"'),
    ("exchanges.alpha", "group = 100", "a group's name or number, or nothing, got 100"),
]


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize(("section", "line", "words"), CASES, ids=[line for _, line, _ in CASES])
def test_each_range(section: str, line: str, words: str) -> None:
    """What no key of storage, permissions or retention can hold is refused in its words."""
    key = line.partition(" ")[0]
    assert faults_of(f"{DATA}[{section}]\n{line}\n") == [f"logger.toml: {section}.{key}: expected {words}"]


def config_of(**exchanges: AlphaConfig | BetaConfig) -> Config:
    """Return a configuration of some exchanges."""
    return Config(logger=LoggerConfig(data_path=Path("/data")), exchanges={**exchanges})


def test_policies_are_the_configured_ones() -> None:
    """Each exchange has its policy, running or not; names of groups become numbers."""
    config = config_of(
        alpha=AlphaConfig(file_mode="0640", group="research", retention_days=3, retention_bytes=9),
        beta=BetaConfig(enabled=False, group="77"),
    )
    assert storage_policy(config, {"research": 4321}.__getitem__) == {
        "alpha": ExchangePolicy(
            file_mode=0o640, directory_mode=0o750, gid=4321, retention_days=3, retention_bytes=9
        ),
        "beta": ExchangePolicy(gid=77),
    }


@pytest.mark.parametrize(
    ("file_mode", "directory_mode"),
    [("0644", 0o755), ("640", 0o750), ("0600", 0o700), ("0660", 0o770), ("0622", 0o722), ("0777", 0o777)],
)
def test_directories_can_be_entered_by_readers(file_mode: str, directory_mode: int) -> None:
    """Whoever may read the files may enter their directory, and nobody else."""
    policy = storage_policy(config_of(alpha=AlphaConfig(file_mode=file_mode)))["alpha"]
    assert (policy.file_mode, policy.directory_mode) == (int(file_mode, 8), directory_mode)


def test_the_default_policy_is_that_of_the_defaults() -> None:
    """A policy made without arguments is the one of an exchange without settings."""
    assert storage_policy(config_of(alpha=AlphaConfig())) == {"alpha": ExchangePolicy()}


def test_unknown_groups_are_told_at_once() -> None:
    """Groups that are not there, and numbers that are none, are told together, each by its key."""
    config = config_of(alpha=AlphaConfig(group="nobody-has-this"), beta=BetaConfig(group=str(2**32 - 1)))
    with pytest.raises(ConfigError) as caught:
        storage_policy(config)
    assert caught.value.faults == [
        'exchanges.alpha.group: no group "nobody-has-this" on this machine: create it, or give its number',
        f'exchanges.beta.group: expected a number of at most {2**32 - 2}, got "{2**32 - 1}"',
    ]


def test_groups_of_this_machine() -> None:
    """A name is looked up in the machine's own list."""
    assert group_number("root") == 0


def test_policies_are_values() -> None:
    """Nobody changes a policy while it is in use."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ExchangePolicy().gid = 5  # type: ignore[misc]
