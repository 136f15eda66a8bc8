from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from simulator_peer import START_NS, Peer, clock, connect
from trio.testing import MockClock
from trio_websocket import open_websocket_url

from multilogger.recording import Recorded
from multilogger.simulator import pulse
from multilogger.simulator.playback import PlaybackVenue, open_playback
from multilogger.simulator.rest import Request
from multilogger.simulator.venues import AnyVenue


def trade(symbol: str, number: int, at_secs: float = 0) -> Recorded:
    """Return a recorded trade with odd spacing, which must survive."""
    text = f'{{"stream": "{symbol.lower()}@trade","data":{{"e":"trade","s":"{symbol}","t":{number}}}}}'
    return Recorded(START_NS + int(at_secs * 1e9), "wss://stream.binance.com:9443/stream", text.encode())


FRAMES = [
    trade("BTCUSDT", 1),
    Recorded(None, None, b"no json"),
    trade("ETHUSDT", 7, 10),
    Recorded(None, None, '{"stream":"币usdt@depth","data":{}}'.encode()),
    trade("BTCUSDT", 2, 20),
]


def subscribe(*symbols: str) -> dict[str, Any]:
    """Return a request for the trades of some symbols."""
    return {"method": "SUBSCRIBE", "params": [f"{symbol.lower()}@trade" for symbol in symbols], "id": 1}


async def test_frames_come_exactly_as_recorded(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """All frames come in order, byte for byte, once their symbols are subscribed; then nothing more."""
    venue = PlaybackVenue("binance", FRAMES, clock)
    nursery.start_soon(venue._play)
    nursery.start_soon(pulse.run_seconds, venue.venue)
    peer = await connect(nursery, venue.venue, "/stream")
    assert await peer.ask(subscribe("BTCUSDT", "ETHUSDT", "币USDT")) == {"result": None, "id": 1}
    assert [text.encode() for text in await peer.gathered()] == [frame.payload for frame in FRAMES]
    assert venue.done.is_set()
    assert (venue.played, venue.sent_messages) == (5, 6)
    await trio.sleep(3600)
    assert await peer.gathered() == []
    assert venue.venue.connected()


async def test_playing_waits_for_all_symbols_but_not_for_ever(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Until every symbol is subscribed nothing comes; after three quiet seconds it does all the same."""
    venue = PlaybackVenue("binance", FRAMES, clock)
    nursery.start_soon(venue._play)
    await trio.sleep(60)
    assert venue.played == 0
    peer = await connect(nursery, venue.venue, "/stream")
    await peer.ask(subscribe("BTCUSDT"))
    await trio.sleep(2.9)
    assert await peer.gathered() == []
    await trio.sleep(0.2)
    assert len(await peer.gathered()) == len(FRAMES)


async def test_connections_get_what_they_subscribed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Frames go to the connection that subscribed their symbol, those without one to the first."""
    venue = PlaybackVenue("binance", FRAMES, clock)
    nursery.start_soon(venue._play)
    first, second = [await connect(nursery, venue.venue, "/stream") for _ in range(2)]
    await first.ask(subscribe("BTCUSDT", "币USDT"))
    await second.ask(subscribe("ETHUSDT"))
    assert len(await second.gathered()) == 1
    assert len(await first.gathered()) == 4


async def test_the_recorded_pace_is_kept(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Twice the speed takes half of the recorded time."""
    venue = PlaybackVenue("binance", FRAMES, clock, speed=2.0)
    nursery.start_soon(venue._play)
    peer = await connect(nursery, venue.venue, "/stream")
    await peer.ask(subscribe("BTCUSDT", "ETHUSDT", "币USDT"))
    start = trio.current_time()
    await venue.done.wait()
    assert trio.current_time() - start == pytest.approx(10, abs=0.1)


async def test_a_pause_holds_the_recording(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A paused playback sends nothing until it is resumed."""
    venue = PlaybackVenue("binance", FRAMES, clock)
    venue.pause()
    nursery.start_soon(venue._play)
    peer = await connect(nursery, venue.venue, "/stream")
    await peer.ask(subscribe("BTCUSDT", "ETHUSDT", "币USDT"))
    assert await peer.gathered() == []
    venue.resume()
    assert len(await peer.gathered()) == len(FRAMES)


async def test_a_client_that_comes_back_gets_the_rest(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """When the connection is lost in between, the next one continues."""
    venue = PlaybackVenue("binance", FRAMES, clock, speed=1.0)
    nursery.start_soon(venue._play)
    peer = await connect(nursery, venue.venue, "/stream")
    await peer.ask(subscribe("BTCUSDT", "ETHUSDT", "币USDT"))
    await trio.sleep(5)
    await peer.ws.aclose()
    await trio.sleep(10)
    again = await connect(nursery, venue.venue, "/stream")
    await again.ask(subscribe("BTCUSDT", "ETHUSDT", "币USDT"))
    await venue.done.wait()
    assert "ETHUSDT" in (await again.gathered())[0]


def test_the_listing_holds_the_recorded_symbols() -> None:
    """Symbols of the recording and those asked for are listed, with base and quote."""
    venue = PlaybackVenue("binance", FRAMES, lambda: START_NS, symbols=["LTCBTC"])
    body = json.loads(venue.venue.answer(Request("/api/v3/exchangeInfo", {}, {})).body)
    listed = [(row["symbol"], row["baseAsset"], row["quoteAsset"], row["status"]) for row in body["symbols"]]
    assert listed == [
        ("BTCUSDT", "BTC", "USDT", "TRADING"),
        ("ETHUSDT", "ETH", "USDT", "TRADING"),
        ("币USDT", "币", "USDT", "TRADING"),
        ("LTCBTC", "LTC", "BTC", "TRADING"),
    ]


async def test_files_are_played_over_a_real_socket(tmp_path: Path) -> None:
    """Coinbase frames from two files come in the order of the files, without replays or heartbeats."""
    texts = [f'{{"type":"match","product_id":"NU-GBP","trade_id":{n}}}' for n in range(600)]
    files = []
    for number, part in enumerate((texts[:300], texts[300:])):
        files.append(tmp_path / f"{number}.jsonl")
        files[-1].write_text("".join(json.dumps({"recv": None, "text": text}) + "\n" for text in part))
    venue: AnyVenue = open_playback("coinbase", files, clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        async with open_websocket_url(venue.ws_url, message_queue_size=1000) as ws:
            peer = Peer(ws)
            channels = ["matches", "ticker", "heartbeat"]
            ack = await peer.ask({"type": "subscribe", "product_ids": ["NU-GBP"], "channels": channels})
            assert ack["type"] == "subscriptions"
            assert [await ws.get_message() for _ in texts] == texts
        assert venue.sent_messages == 601
        nursery.cancel_scope.cancel()
