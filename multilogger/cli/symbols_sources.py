"""Where ``multilogger symbols`` has listings from: the exchanges, saved answers of theirs, or an archive."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import attrs
import trio

from multilogger.archive.instruments import exchanges_with_history
from multilogger.archive.reader import open_archive
from multilogger.cli.common import check_exchange, make_exchange, run_trio, wall_clock
from multilogger.config import Config, ExchangeConfig
from multilogger.connection.connector import make_connector
from multilogger.connection.http import open_http_client
from multilogger.errors import ArchiveError, RestError, StartupError
from multilogger.exchanges.base import Exchange, HttpGet, Services
from multilogger.exchanges.catalog import exchange_types
from multilogger.symbols.history import unreadable_words
from multilogger.symbols.instruments import SymbolInfo


@attrs.frozen
class Listings:
    """What exchanges list."""

    found: dict[str, list[SymbolInfo]] = attrs.field(factory=dict)
    """By exchange, in the order in which they are wanted."""
    failures: dict[str, str] = attrs.field(factory=dict)
    """Why there is no listing of an exchange."""

    @property
    def listed(self) -> list[SymbolInfo]:
        """All instruments."""
        return [info for listing in self.found.values() for info in listing]


def fetched(config: Config, names: Sequence[str]) -> Listings:
    """Return what exchanges list now.

    Raises:
        StartupError: an exchange is not known, or not configured.
    """
    return run_trio(partial(_fetch_all, config, names))


async def _fetch_all(config: Config, names: Sequence[str]) -> Listings:
    async with open_http_client() as http:
        return await _ask({name: make_exchange(name, config, _services(http.get)) for name in names})


def saved(config: Config, directory: Path, only: str | None) -> Listings:
    """Return what exchanges list by saved answers, in a directory for each exchange below ``directory``.

    Raises:
        StartupError: there are none, or of an exchange that is not known.
    """
    try:
        names = sorted(path.name for path in directory.iterdir() if path.is_dir())
    except OSError as error:
        raise StartupError(f"{directory} can't be read: {error.strerror}") from error
    names = [name for name in names if only in (None, name)]
    if not names:
        raise StartupError(f"{directory} has no directory {only or 'of any exchange'}")
    for name in names:
        check_exchange(name)
    exchanges = {name: _exchange(name, config, SavedAnswers(directory / name)) for name in names}
    return run_trio(_ask, exchanges)


def _exchange(name: str, config: Config, http_get: HttpGet) -> Exchange:
    """Return an exchange as configured, or with its defaults."""
    kind = exchange_types()[name]
    settings = config.exchanges.get(name)
    # Every key of every exchange has a default: an empty section is a whole one.
    default = cast("Callable[[], ExchangeConfig]", kind.config_type)
    return kind(default() if settings is None else settings, _services(http_get))


class SavedAnswers:
    """Answers requests out of files: an :class:`.HttpGet` without a network.

    The answer to a request is the file that is called as the last part of its path, with the values of its
    parameters behind dots: ``instruments.SPOT.json``, ``exchangeInfo.json``. The last values may be missing
    in the name, but then the file answers one request only, so that no page is taken for the next one.

    Args:
        directory: of the files.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._used: set[Path] = set()

    async def __call__(
        self, url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0
    ) -> bytes:
        """Return the content of the file that answers the request; ``weight`` counts nothing here.

        Raises:
            RestError: there is no such file, or it can't be read.
        """
        del weight
        await trio.lowlevel.checkpoint()
        words = [urlsplit(url).path.rsplit("/", 1)[-1], *(params or {}).values()]
        names = [f"{'.'.join(words[:count])}.json" for count in range(len(words), 0, -1)]
        for path in (self._directory / name.replace("/", "_") for name in names):
            if path not in self._used and path.is_file():
                self._used.add(path)
                return self._read(path)
        raise RestError(f"no saved answer {self._directory / names[0]}")

    @staticmethod
    def _read(path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise RestError(f"{path} can't be read: {error.strerror}") from error


def _services(http_get: HttpGet) -> Services:
    return Services(http_get=http_get, connector=make_connector(wall_clock))


async def _ask(exchanges: Mapping[str, Exchange]) -> Listings:
    answers: dict[str, list[SymbolInfo] | RestError] = {}

    async def ask(name: str, exchange: Exchange) -> None:
        try:
            answers[name] = await exchange.fetch_symbols()
        except RestError as failure:
            answers[name] = failure

    async with trio.open_nursery() as nursery:
        for name, exchange in exchanges.items():
            nursery.start_soon(ask, name, exchange)
    result = Listings()
    for name in exchanges:
        answer = answers[name]
        if isinstance(answer, RestError):
            result.failures[name] = str(answer)
        else:
            result.found[name] = answer
    return result


def recorded(data: Path, at_ns: int | None, only: str | None) -> Listings:
    """Return what exchanges listed at a time, by the instrument histories of an archive.

    Raises:
        ArchiveError: there is no archive or no history, or it can't be read.
    """
    archive, result = open_archive(data), Listings()
    names = [only] if only is not None else exchanges_with_history(data)
    if not names:
        raise ArchiveError(f"no instrument history of any exchange in {data}")
    for name in names:
        history = archive.instrument_history(name)
        if history.unreadable:
            words = "; ".join(unreadable_words(history))
            sys.stderr.write(f"multilogger: {name}: lines of its history can't be read: {words}\n")
        try:
            result.found[name] = archive.instruments(name, at_ns)
        except ArchiveError as failure:
            result.failures[name] = str(failure)
    return result
