"""The configuration: overrides by the environment, and values of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from config_tools import DATA, TYPES, AlphaConfig, faults_of, load
from hypothesis import given
from hypothesis import strategies as st

from multilogger.config import (
    load_config,
)
from multilogger.errors import ConfigError


@pytest.fixture(scope="module")
def bare_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a data path alone."""
    path = tmp_path_factory.mktemp("bare") / "bare.toml"
    path.write_text(DATA, encoding="utf-8")
    return path


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("LOGGER__BUFFER_SIZE", "100", lambda config: config.logger.buffer_size == 100),
        ("LOGGER__FLUSH_INTERVAL_SECS", "2", lambda config: config.logger.flush_interval_secs == 2.0),
        ("LOGGER__DATA_PATH", "/a b", lambda config: config.logger.data_path == Path("/a b")),
        ("LOGGER__DATA_PATH", '"/q"', lambda config: config.logger.data_path == Path("/q")),
        ("LOGGER__MAPPINGS", "m.yaml", lambda config: config.logger.mappings == Path("m.yaml")),
        ("HEALTH__HOST", "127.0.0.1", lambda config: config.health.host == "127.0.0.1"),
        ("HEALTH__ENABLED", "false", lambda config: config.health.enabled is False),
        (
            "EXCHANGES__ALPHA__SYMBOLS",
            "BTC-*, !BTC-EUR",
            lambda config: config.exchanges["alpha"].symbols == ("BTC-*", "!BTC-EUR"),
        ),
        (
            "EXCHANGES__ALPHA__SYMBOLS",
            '["A,B", "C"]',
            lambda config: config.exchanges["alpha"].symbols == ("A,B", "C"),
        ),
        ("EXCHANGES__ALPHA__WEIGHT", "0.5", lambda config: config.exchanges["alpha"].weight == 0.5),
        ("EXCHANGES__ALPHA__ENABLED", "false", lambda config: not config.exchanges["alpha"].enabled),
    ],
)
def test_environment_overrides_single_keys(name: str, text: str, read: Any) -> None:
    """A variable sets its key, in the key's own type, and leaves the rest as the file has it."""
    config = load(DATA + "[storage]\ncheckpoint_secs = 7\n", {f"MULTILOGGER__{name}": text})
    assert read(config)
    assert config.storage.checkpoint_secs == 7.0
    assert list(config.exchanges) == ["alpha", "beta"]


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("HEALTH__PORT", "ten", 'expected a whole number between 0 and 65535, got "ten"'),
        ("HEALTH__PORT", "1\nx = 2", 'expected a whole number between 0 and 65535, got "1\\nx = 2"'),
        ("HEALTH__ENABLED", "yes", 'expected true or false, got "yes"'),
        ("LOGGER__DATA_PATH", "", 'expected a path, not empty and without ~, got ""'),
        ("LOGGER__DATA_PATH", "~/data", 'expected a path, not empty and without ~, got "~/data"'),
        ("EXCHANGES__ALPHA__DEPTH", "5", 'expected one of 5, 10, got "5"'),
        (
            "EXCHANGES__ALPHA__SYMBOLS",
            "[",
            'expected a list of symbols or patterns, none empty, got "["',
        ),
        ("EXCHANGES__GAMMA__ENABLED", "true", "unknown setting"),
        ("HEALTH", "x", "unknown setting"),
    ],
)
def test_faults_of_the_environment_name_the_variable(name: str, text: str, words: str) -> None:
    """A wrong variable is told by its own name."""
    (fault,) = faults_of(DATA, {f"MULTILOGGER__{name}": text})
    assert fault.startswith(f"MULTILOGGER__{name}: {words}")


@pytest.mark.usefixtures("at_work")
def test_environment_adds_an_exchange_to_the_named() -> None:
    """A variable of an exchange counts as its section; other variables count as nothing."""
    config = load(
        DATA + "[exchanges.beta]\n",
        {"MULTILOGGER__EXCHANGES__ALPHA__ENABLED": "true", "PATH": "/bin", "MULTILOGGER_X": "1"},
    )
    assert sorted(config.exchanges) == ["alpha", "beta"]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(key=st.sampled_from(sorted(field.name for field in attrs.fields(AlphaConfig))), value=_VALUES)
def test_any_value_is_taken_unchanged_or_refused(key: str, value: object) -> None:
    """No value is changed silently, and none raises anything but faults."""
    from multilogger.config.structure import structure  # noqa: PLC0415 - the one test below the loader

    config, faults = structure({key: value}, AlphaConfig, ("exchanges", "alpha"))
    if config is None:
        assert all(fault.path[:3] == ("exchanges", "alpha", key) for fault in faults)
        assert faults
    else:
        taken = getattr(config, key)
        assert (list(taken) if isinstance(taken, tuple) else taken) == value
        assert isinstance(taken, bool) == isinstance(value, bool)


@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    key=st.sampled_from(["HEALTH__PORT", "HEALTH__HOST", "EXCHANGES__ALPHA__SYMBOLS", "LOGGER__LOG_LEVEL"]),
)
def test_any_text_in_the_environment_is_taken_or_refused(bare_file: Path, text: str, key: str) -> None:
    """No text of a variable raises anything but faults, and these name it."""
    name = f"MULTILOGGER__{key}"
    faults: list[str] = []
    try:
        load_config(bare_file, {name: text}, TYPES)
    except ConfigError as error:
        faults = error.faults
    assert all(fault.startswith(name) for fault in faults)
