"""The documentation says what the program does, and the project keeps its own rules."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from multilogger import __version__
from multilogger.cli.main import build_parser, main
from multilogger.config import ExchangeConfig, load_config
from multilogger.exchanges.catalog import BUILT_IN
from multilogger.tables import TABLES, Table

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
MOST_LINES = 300
MOST_IMAGE_BYTES = 100_000
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
MAKE = re.compile(r"(?:^|`)make(?: (?P<target>[a-z][\w-]*))?\b", re.MULTILINE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

DEMO_DATA, DEMO_DAY = "/tmp/multilogger-demo", "23.11.26"  # noqa: S108 - replaced before anything is run
FRAMES_DAY = "22.11.26"

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def read(path: Path) -> str:
    """Return a page's text."""
    return path.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """Return a page's fenced blocks of a language."""
    return [found["text"] for found in FENCE.finditer(read(page)) if found["language"] == language]


def anchors(page: Path) -> set[str]:
    """Return the fragments that a page's headings can be linked by."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", read(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command."""
    actions = build_parser()._actions
    (found,) = [action for action in actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found.choices)


def section(text: str, word: str) -> str:
    """Return what stands below the heading with ``word``, up to the next of its level; empty without one."""
    found = re.search(
        rf"^(#+) [^\n]*(?<![\w-]){word}(?![\w-])[^\n]*\n(.*?)(?=^\1 |\Z)", text, re.MULTILINE | re.DOTALL
    )
    return found[2] if found else ""


def requirements() -> list[str]:
    """Return the names of all packages that the project needs to run, to be worked on and to be built."""
    project = PROJECT["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["dev"],
        *PROJECT["build-system"]["requires"],
    ]
    return [re.split(r"[^\w.-]", one)[0] for one in wanted]


def tracked() -> list[Path]:
    """Return the project's files: those git knows or would add."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - git is needed anyway
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return [ROOT / name for name in listing.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_is_documented(name: str) -> None:
    """Each command has a section in docs/commands.md, with each of its options and arguments."""
    text = section(read(DOCS / "commands.md"), name)
    assert text, f"docs/commands.md has no section {name}"
    words = {
        action.option_strings[-1] if action.option_strings else str(action.metavar or action.dest)
        for action in commands()[name]._actions
        if not isinstance(action, argparse._HelpAction)
    }
    assert {word for word in words if not re.search(rf"(?<![\w-]){word}(?![\w-])", text)} == set()


def test_no_option_is_documented_that_is_not_there() -> None:
    """Each long option named in docs/commands.md is one of the program's."""
    parsers = [build_parser(), *commands().values()]
    known = {option for parser in parsers for action in parser._actions for option in action.option_strings}
    assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", read(DOCS / "commands.md"))) <= known


@pytest.mark.parametrize("package", requirements())
def test_every_dependency_is_documented(package: str) -> None:
    """Each dependency has a row that says its licence, what it is for, and what was rejected."""
    assert re.search(
        rf"^\| `{package}` \| [^|]+ \| [^|]+ \| [^|]*\|$", read(DOCS / "dependencies.md"), re.MULTILINE
    )


def test_no_dependency_is_documented_that_is_not_there() -> None:
    """Each row of the dependencies' tables is of a dependency."""
    rows = re.findall(r"^\| `([\w-]+)` \|", read(DOCS / "dependencies.md"), re.MULTILINE)
    assert sorted(rows) == sorted(requirements())


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_is_documented(table: Table) -> None:
    """The columns of docs/file-format.md are those written, in order, with their types."""
    rows = re.findall(
        r"^\| `(\w+)` \| `([^`]+)` \| (\*exact:\*)?",
        section(read(DOCS / "file-format.md"), table.name),
        re.MULTILINE,
    )
    kinds = [(column.name, column.dtype.str.replace("|V16", "V16"), column.exact) for column in table.columns]
    assert [(name, dtype, bool(exact)) for name, dtype, exact in rows] == kinds


@by_name
def test_links_resolve(page: Path) -> None:
    """Each link to a file or heading of this repository leads somewhere, and none leads out of it."""
    for target in LINK.findall(FENCE.sub("", read(page))):
        if "://" in target:
            continue
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_relative_to(ROOT)
        assert file.exists(), f"{page.name} links to {target}, which is not there"
        assert not fragment or fragment in anchors(file), f"{page.name} links to {target}: no such heading"


def test_readme_leads_to_every_page() -> None:
    """Each page of docs is linked from the README."""
    linked = set(LINK.findall(read(ROOT / "README.md")))
    assert {f"docs/{page.name}" for page in DOCS.glob("*.md")} <= linked


@by_name
def test_make_targets_exist(page: Path) -> None:
    """Each make command in the documentation is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z][\w-]*):", read(ROOT / "Makefile"), re.MULTILINE))
    code = "\n".join(
        re.findall(r"`[^`\n]+`", read(page)) + [found["text"] for found in FENCE.finditer(read(page))]
    )
    assert {target for target in MAKE.findall(code) if target} <= targets


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the documented frames of Coinbase Exchange in it."""
    directory = tmp_path_factory.mktemp("documentation")
    frames = [
        json.loads(line)["frame"] for line in read(ROOT / "tests/data/coinbase_frames.jsonl").splitlines()
    ]
    recording = directory / "frames.jsonl"
    lines = [json.dumps({"recv": 1795341601.0, "text": json.dumps(frame)}) + "\n" for frame in frames]
    recording.write_text("".join(lines), encoding="utf-8")
    data = directory / "data"
    assert main(["replay", str(recording), "--exchange", "coinbase", "--data", str(data)]) == 0
    return data


def examples() -> Iterator[tuple[str, str]]:
    """Give each Python example that reads the demo's files, with a name for it."""
    for page in (ROOT / "README.md", DOCS / "quick-start.md", DOCS / "file-format.md"):
        for number, text in enumerate(blocks(page, "python"), 1):
            yield f"{page.name}-{number}", text


@pytest.mark.parametrize("example", [pytest.param(text, id=name) for name, text in examples()])
def test_examples_run(example: str, recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each example of reading works as it stands, but for the directory and the day."""
    assert DEMO_DATA in example
    code = example.replace(DEMO_DATA, str(recorded)).replace(DEMO_DAY, FRAMES_DAY)
    exec(compile(code, "example", "exec"), {})  # noqa: S102 - the documentation is our own
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("text", blocks(DOCS / "quick-start.md", "toml"))
def test_settings_of_the_quick_start_are_right(text: str, tmp_path: Path) -> None:
    """Each configuration shown is one that the program takes."""
    file = tmp_path / "logger.toml"
    file.write_text(text, encoding="utf-8")
    types: dict[str, type[ExchangeConfig]] = {name: kind.config_type for name, kind in BUILT_IN.items()}
    assert list(load_config(file, {}, types, default_exchanges=list(BUILT_IN)).exchanges) == ["coinbase"]


def test_json_examples_are_json() -> None:
    """Each JSON block of the README is JSON."""
    assert [json.loads(text)["status"] for text in blocks(ROOT / "README.md", "json")] == ["healthy"]


def test_one_version() -> None:
    """The package and its metadata agree."""
    assert PROJECT["project"]["version"] == __version__


def test_files_are_short() -> None:
    """No source file has more than 300 lines."""
    files = [file for file in tracked() if file.suffix in {".py", ".html"}]
    lengths = {str(file.relative_to(ROOT)): len(read(file).splitlines()) for file in files}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_images_are_small() -> None:
    """Pictures don't make a clone slow."""
    sizes = {image.name: image.stat().st_size for image in (DOCS / "images").iterdir()}
    assert {name for name, size in sizes.items() if size > MOST_IMAGE_BYTES} == set()


def lines_that_match(pattern: str, files: Sequence[Path]) -> list[str]:
    """Return the lines of text files that match, each with its file and number."""
    return [
        f"{file.relative_to(ROOT)}:{number}: {line}"
        for file in files
        for number, line in enumerate(file.read_bytes().decode(errors="replace").splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_no_file_tells_where_somebody_worked() -> None:
    """No path of anybody's own machine stands in the repository."""
    machine = r"(?<![\w.:/~$}-])/(?:home|Users|root|mnt/c|work|workspace)/\w"
    assert lines_that_match(machine, tracked()) == []


def test_nothing_is_left_to_be_done() -> None:
    """No reminder to write something later stands in the repository."""
    reminder = r"\b(?:T[O]DO|F[I]XME|X[X]X|H[A]CK)\b"  # so written that it does not find itself
    assert lines_that_match(reminder, [file for file in tracked() if file.suffix != ".txt"]) == []
