"""The configuration: what is accepted, what is refused and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_tools import DATA, TYPES, AlphaConfig, BetaConfig, faults_of, load

from multilogger.config import (
    Config,
    HealthConfig,
    LoggerConfig,
    StorageConfig,
    load_config,
)
from multilogger.errors import ConfigError


@pytest.mark.usefixtures("at_work")
def test_a_data_path_is_enough() -> None:
    """A file with nothing but the data path gives every default, and every exchange."""
    config = load(DATA)
    assert config == Config(
        logger=LoggerConfig(data_path=Path("/data")),
        storage=StorageConfig(),
        health=HealthConfig(),
        exchanges={"alpha": AlphaConfig(), "beta": BetaConfig()},
    )


@pytest.mark.usefixtures("at_work")
def test_without_a_file_the_environment_is_enough() -> None:
    """Where there is no file, a data path in the environment does."""
    config = load_config(None, {"MULTILOGGER__LOGGER__DATA_PATH": "/d"}, TYPES)
    assert config.logger.data_path == Path("/d")


@pytest.mark.usefixtures("at_work")
def test_a_data_path_is_needed() -> None:
    """Without a data path from anywhere, one line says where to set it."""
    with pytest.raises(ConfigError) as caught:
        load_config(None, {}, TYPES)
    assert caught.value.faults == [
        "configuration: logger.data_path: required, but missing; MULTILOGGER__LOGGER__DATA_PATH sets it too"
    ]


@pytest.mark.usefixtures("at_work")
def test_named_exchanges_are_the_only_ones() -> None:
    """Sections of exchanges leave out those without a section."""
    config = load(DATA + "[exchanges.beta]\nmax_connections = 3\n")
    assert config.exchanges == {"beta": BetaConfig(max_connections=3)}


@pytest.mark.usefixtures("at_work")
def test_default_exchanges_may_be_fewer_than_the_known() -> None:
    """What is on without any section is the caller's choice; other known ones still may be named."""
    Path("logger.toml").write_text(DATA, encoding="utf-8")
    assert list(load_config(None, {}, TYPES, default_exchanges=["beta"]).exchanges) == ["beta"]


@pytest.mark.usefixtures("at_work")
def test_values_of_every_kind_arrive() -> None:
    """Text, numbers, truth values, lists and a whole number for a number are taken as they stand."""
    config = load(
        '[logger]\ndata_path = "/data"\nflush_interval_secs = 2\nmappings = "m.yaml"\n'
        "[storage]\nexact_columns = false\n"
        '[exchanges.alpha]\nsymbols = ["BTC-*", "!BTC-EUR"]\nstream = "aggTrade"\n'
        'depth = 10\nweight = 1\ntags = ["a"]\n'
    )
    alpha = config.exchanges["alpha"]
    assert isinstance(alpha, AlphaConfig)
    assert (alpha.symbols, alpha.stream, alpha.depth, alpha.weight, alpha.tags) == (
        ("BTC-*", "!BTC-EUR"),
        "aggTrade",
        10,
        1.0,
        ["a"],
    )
    assert (config.logger.flush_interval_secs, config.logger.mappings) == (2.0, Path("m.yaml"))
    assert isinstance(config.logger.flush_interval_secs, float)
    assert config.storage.exact_columns is False


CASES: list[tuple[str, str]] = [
    ("[health]\nport = 'ten'", 'health.port: expected a whole number between 0 and 65535, got "ten"'),
    ("[health]\nport = true", "health.port: expected a whole number between 0 and 65535, got true"),
    ("[health]\nport = 8080.0", "health.port: expected a whole number between 0 and 65535, got 8080.0"),
    ("[health]\nport = 65536", "health.port: expected a whole number between 0 and 65535, got 65536"),
    ("[health]\nenabled = 1", "health.enabled: expected true or false, got 1"),
    ("[health]\nhost = 'a b'", 'health.host: expected a name or an address, got "a b"'),
    ("[health]\nstale_secs = nan", "health.stale_secs: expected a number between 0.01 and 3600, got NaN"),
    ("[health]\nstale_secs = true", "health.stale_secs: expected a number between 0.01 and 3600, got true"),
    ("[health]\nstale_secs = '5'", 'health.stale_secs: expected a number between 0.01 and 3600, got "5"'),
    ("[health]\nstale_secs = 0", "health.stale_secs: expected a number between 0.01 and 3600, got 0"),
    ("[storage]\nexact_column = true", "storage.exact_column: unknown key, did you mean exact_columns?"),
    ("[storge]\n", "storge: unknown section, did you mean storage?"),
    ("storage = 5", "storage: expected a table, got 5"),
    ("exchanges = 5", "exchanges: expected a table for each exchange, got 5"),
    ("[exchanges]\nalpha = 5", "exchanges.alpha: expected a table, got 5"),
    (
        "[exchanges.alfa]",
        "exchanges.alfa: unknown exchange, did you mean alpha? Known are alpha, beta",
    ),
    ("[exchanges.zzz]", "exchanges.zzz: unknown exchange: there are alpha, beta"),
    (
        "[exchanges.alpha]\nsymbols = 'BTC-USD'",
        'exchanges.alpha.symbols: expected a list of symbols or patterns, none empty, got "BTC-USD"',
    ),
    (
        "[exchanges.alpha]\nsymbols = ['A', '!']",
        'exchanges.alpha.symbols: expected a list of symbols or patterns, none empty, got ["A", "!"]',
    ),
    ("[exchanges.alpha]\nsymbols = ['A', 5]", "exchanges.alpha.symbols[1]: expected text, got 5"),
    (
        "[exchanges.alpha]\nmax_connections = 0",
        "exchanges.alpha.max_connections: expected a whole number between 1 and 1000, got 0",
    ),
    (
        "[exchanges.alpha]\nstream = 'x'",
        'exchanges.alpha.stream: expected one of "trade", "aggTrade", got "x"',
    ),
    ("[exchanges.alpha]\ndepth = 7", "exchanges.alpha.depth: expected one of 5, 10, got 7"),
    ("[exchanges.alpha]\ntags = 'ab'", 'exchanges.alpha.tags: expected a list, got "ab"'),
    (
        "[exchanges.alpha]\nws_endpoint = 'alpha'",
        'exchanges.alpha.ws_endpoint: expected a URL with ws:// or wss:// and a host, got "alpha"',
    ),
    (
        "[exchanges.alpha]\nrest_endpoint = 'https://h:99999'",
        'exchanges.alpha.rest_endpoint: expected a URL with http:// or https:// and a host, got "https://h:99999"',
    ),
    (
        "[exchanges.beta]\nregion = 'x'",
        "exchanges.beta.region: 'region' must be in ['eu', 'us'] (got 'x')",
    ),
]


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize(("text", "fault"), CASES, ids=[fault.partition(", got")[0] for _, fault in CASES])
def test_each_fault_in_one_line(text: str, fault: str) -> None:
    """A wrong key is told with its path, what is expected and what came."""
    # Keys outside of sections have to stand before all sections.
    whole_file = DATA + text if text.startswith("[") else f"{text}\n{DATA}"
    assert faults_of(whole_file) == [f"logger.toml: {fault}"]


@pytest.mark.usefixtures("at_work")
def test_a_stray_key_is_no_section() -> None:
    """A key before all sections is told as such."""
    (fault,) = faults_of('data_path = "/x"\n' + DATA)
    assert fault.startswith("logger.toml: data_path: unknown key outside of all sections")


@pytest.mark.usefixtures("at_work")
def test_all_faults_at_once() -> None:
    """Faults of all sections, of one section, and of the environment come together."""
    misspelt = "MULTILOGGER__STORAGE__CHECKPONT_SECS"
    faults = faults_of(
        "[logger]\nbuffer_size = 0\nlog_level = 'loud'\ncolour = 1\n[health]\nport = -1\n[exchanges.gamma]\n",
        {"MULTILOGGER__STORAGE__CHECKPOINT_SECS": "soon", misspelt: "1"},
    )
    assert sorted(fault.split(": ")[0] + ": " + fault.split(": ")[1] for fault in faults) == [
        'MULTILOGGER__STORAGE__CHECKPOINT_SECS: expected a number between 0.01 and 3600, got "soon"',
        f"{misspelt}: unknown setting, did you mean MULTILOGGER__STORAGE__CHECKPOINT_SECS?",
        "logger.toml: exchanges.gamma",
        "logger.toml: health.port",
        "logger.toml: logger.buffer_size",
        "logger.toml: logger.colour",
        "logger.toml: logger.data_path",
        "logger.toml: logger.log_level",
    ]
    assert not any("\n" in fault for fault in faults)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[logger\n", "line 1, column 8: "),
        (b"[logger]\ndata_path = \n", "line 2, column 13: "),
        (b"a = 1\na = 2\n", "line 2"),
        (b"a = \xff", "byte 4: not UTF-8 text"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"a = " + b"1" * 5000, "Exceeds the limit"),
    ],
)
def test_what_is_no_toml_is_one_fault(at_work: Path, content: bytes, words: str) -> None:
    """A file that can't be parsed is told with the place, and nothing else is."""
    (at_work / "bad.toml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(Path("bad.toml"), {}, TYPES)
    (fault,) = caught.value.faults
    assert fault.startswith(f"bad.toml: {words}")


def test_a_byte_order_mark_is_no_fault(at_work: Path) -> None:
    """A file that an editor saved with a byte order mark is read."""
    (at_work / "logger.toml").write_bytes(b"\xef\xbb\xbf" + DATA.encode())
    assert load_config(None, {}, TYPES).logger.data_path == Path("/data")


def test_a_named_file_has_to_be_there(at_work: Path) -> None:
    """A file asked for but missing, or a directory in its place, is a fault."""
    with pytest.raises(ConfigError, match=r"^none\.toml: no such file$"):
        load_config(Path("none.toml"), {"MULTILOGGER__LOGGER__DATA_PATH": "/d"}, TYPES)
    (at_work / "dir.toml").mkdir()
    with pytest.raises(ConfigError, match=r"^dir\.toml: can't be read: Is a directory$"):
        load_config(Path("dir.toml"), {}, TYPES)


def test_direct_construction_checks_too() -> None:
    """A section made in code has the same ranges."""
    with pytest.raises(ValueError, match=r"^port: expected a whole number between 0 and 65535, got 70000$"):
        HealthConfig(port=70000)
