"""The command line: what can't be done is told in one clear line a fault, with exit status 2."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from cli_tools import dead_endpoints, write_config

from multilogger import __version__
from multilogger.cli import common
from multilogger.cli.main import build_parser, main, with_command
from multilogger.errors import StorageError
from multilogger.stats import WriterStats
from multilogger.storage.store import Store


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str | int | None, list[str]]:
    """Run a command; return its status and the lines on standard error that are no log lines."""
    try:
        status: str | int | None = main(arguments)
    except SystemExit as end:
        status = end.code
    lines = capsys.readouterr().err.splitlines()
    assert not any("Traceback" in line for line in lines)
    return status, [line for line in lines if not line.startswith("{")]


def test_with_command() -> None:
    """Without a command run is meant, with its options; help and version are of the whole program."""
    assert with_command([]) == ["run"]
    assert with_command(["--config", "x.toml"]) == ["run", "--config", "x.toml"]
    for arguments in (["check"], ["-h"], ["--help"], ["--version"], ["demo", "--seconds", "5"]):
        assert with_command(arguments) == arguments


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` names program and version."""
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"multilogger {__version__}\n"


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command describes itself and each of its options."""
    help_text = build_parser().format_help()
    for command in ("run", "demo", "check", "symbols", "replay", "simulate"):
        assert f"\n    {command} " in help_text
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])
        assert "``" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["record"], "invalid choice: 'record'"),
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["demo", "--seconds", "0"], "--seconds: expected a number greater than 0, got '0'"),
        (["demo", "--rate", "nan"], "--rate: expected a number greater than 0, got 'nan'"),
        (["demo", "--port", "70000"], "--port: expected a port between 0 and 65535, got '70000'"),
        (["demo", "--late", "0.6"], "--late: expected a share between 0 and 0.5, got '0.6'"),
        (["demo", "--late", "many"], "--late: expected a share between 0 and 0.5, got 'many'"),
        (["demo", "--day-seconds", "0.5"], "--day-seconds: expected a number between 1 and 86400, got '0.5'"),
        (["simulate", "--late", "-1"], "--late: expected a share between 0 and 0.5, got '-1'"),
        (["simulate", "--speed", "fast"], "--speed: expected a number greater than 0, got 'fast'"),
        (["simulate", "--exchange", "mtgox"], "invalid choice: 'mtgox'"),
        (["simulate", "--playback", "x.jsonl"], "--playback needs --exchange"),
        (["simulate", "--exchange", "binance", "--playback", "x.jsonl"], "x.jsonl: can't be read: No such"),
        (["simulate", "--exchange", "binance", "--playback", "x", "--late", "0.1"], "--late is for markets"),
        (["simulate", "--ledger", "/dev/null/x"], "/dev/null/x can't be written to: Not a directory"),
        (["demo", "--data", "/dev/null/x"], "/dev/null/x can't be written to: Not a directory"),
        (["symbols", "mtgox"], "unknown exchange 'mtgox': known are binance, binance_coinm, "),
        (["run", "--config", "nowhere.toml"], "nowhere.toml: no such file"),
        (["run"], "logger.data_path: required, but missing"),
        (["check"], "logger.data_path: required, but missing"),
    ],
)
def test_unusable_arguments(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments that make no sense are refused, with what was expected."""
    status, lines = told(capsys, *arguments)
    assert status == 2
    assert words in lines[-1]


def test_all_faults_of_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every fault of a configuration has a line of its own, and nothing is touched."""
    extra = "symbols = 7\n[exchanges.mtgox]\n[loger]\n"
    config = write_config(tmp_path, extra=extra)
    status, lines = told(capsys, "run", "--config", str(config))
    assert status == 2
    assert all(line.startswith(f"multilogger: {config}: ") for line in lines)
    for words in (
        "loger: unknown section",
        "exchanges.mtgox: unknown exchange",
        "exchanges.coinbase.symbols",
    ):
        assert sum(words in line for line in lines) == 1
    assert len(lines) == 3
    assert not (tmp_path / "data").exists()


def test_unwritable_data_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A data path that can't be made is one line."""
    config = write_config(tmp_path)
    (tmp_path / "data").write_text("a file where the directory should be")
    status, lines = told(capsys, "run", "--config", str(config))
    assert status == 2
    assert len(lines) == 1
    assert f"data path {tmp_path / 'data'} can't be written to" in lines[0]


def test_port_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A health port that is taken is one line, which says what to set."""
    config = write_config(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("MULTILOGGER__HEALTH__PORT", str(port))
        status, lines = told(capsys, "run", "--config", str(config))
    assert status == 2
    advice = "set health.port to another, or health.enabled = false"
    assert lines == [f"multilogger: port {port} on 127.0.0.1 is in use: {advice}"]


def test_second_logger_on_a_data_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A data path has one writer; the second is told which process holds it."""
    config = write_config(tmp_path)
    settings = common.read_config(config)
    store = Store.open(settings.logger.data_path, settings.storage, WriterStats(), common.wall_clock)
    try:
        status, lines = told(capsys, "run", "--config", str(config))
    finally:
        store.close()
    assert status == 2
    assert len(lines) == 1
    assert "is in use by process" in lines[0]


def test_too_many_symbols(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """More symbols by name than fit are refused with the numbers, and nothing is touched."""
    extra = 'symbols = ["A-USD", "B-USD", "C-USD"]\nmax_connections = 1\nsymbols_per_connection = 2\n'
    config = write_config(tmp_path, extra=extra)
    status, lines = told(capsys, "run", "--config", str(config))
    assert status == 2
    assert len(lines) == 1
    assert "exchanges.coinbase: 3 symbols do not fit: 1 connections of at most 2 symbols each" in lines[0]
    assert not (tmp_path / "data").exists()


def test_dead_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A demo whose writer dies ends with status 1 and the writer's own words."""

    def full(_store: Store, _batches: object) -> None:
        raise StorageError("journal: No space left on device")

    monkeypatch.setattr(Store, "commit", full)
    status, lines = told(capsys, "demo", "--data", str(tmp_path / "data"), "--port", "0", "--seconds", "9")
    assert status == 1
    assert lines[-1] == "multilogger: journal: No space left on device"


def test_interrupt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C in a command that has nothing to put in order ends it without a traceback."""

    def interrupted(*_arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["multilogger.cli.check"], "read_config", interrupted)
    assert told(capsys, "check") == (130, [])


def test_configuration_file_in_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without ``--config`` the file ./logger.toml counts."""
    write_config(tmp_path, dead_endpoints(), extra="nonsense = 1")
    status, lines = told(capsys)
    assert status == 2
    assert lines[0].startswith("multilogger: logger.toml: exchanges.coinbase.nonsense: unknown")
