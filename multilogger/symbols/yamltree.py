"""YAML as plain tables, lists and values, with every fault told by its path.

PyYAML's own construction lets the later of two equal keys win, and gives up at the first date that can't be;
so only its parser is used, and its nodes become values here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NoReturn

import attrs
import yaml

from multilogger.config.expect import show
from multilogger.config.structure import Fault, Key

YamlPath = tuple[Key, ...]
"""Keys and indexes from the top of a document."""

_TAG: Final = "tag:yaml.org,2002:"
_SHOWN_PLAINLY: Final = frozenset(f"{_TAG}{kind}" for kind in ("bool", "float", "int", "null"))
_DEEPEST: Final = 10
"""Levels; the files read here have six."""


@attrs.frozen
class _Odd:
    """A value of a kind that has no place here, such as a date; kept to be quoted in a fault."""

    text: str
    tag: str

    def __str__(self) -> str:
        return f"{self.text} ({self.tag.removeprefix(_TAG)})"


class _Loader(yaml.SafeLoader):
    """Refuses depth, and aliases: by them a short file can be endless, or endlessly large."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self.check_event(yaml.AliasEvent):
            self._refuse("aliases (*name) are not understood here")
        if self._depth > _DEEPEST:
            self._refuse("nested too deeply")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _refuse(self, words: str) -> NoReturn:
        raise yaml.composer.ComposerError(None, None, words, self.current_event.start_mark)


def parse_yaml(text: str) -> tuple[object, list[Fault]]:
    """Parse a document.

    Args:
        text: one YAML document.

    Returns:
        Its content and its faults. Bad syntax, depth or an alias ends the reading: there is no content then.
        Keys that are no text or stand twice are left out, of equal ones all but the first.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        return None, [Fault((), _syntax(error))]
    except (ValueError, OverflowError):  # which of them, and in which words, depends on the interpreter
        return None, [Fault((), "an escape such as \\UFFFFFFFF names no character")]
    faults: list[Fault] = []
    return (None if node is None else _value(node, (), faults)), faults


def _syntax(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def _value(node: yaml.Node, path: YamlPath, faults: list[Fault]) -> object:
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, at), faults) for at, item in enumerate(node.value)]
    return dict(_items(node, path, faults))


def _items(node: yaml.Node, path: YamlPath, faults: list[Fault]) -> Iterator[tuple[str, object]]:
    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        key = _value(key_node, path, faults)
        line = key_node.start_mark.line + 1
        if not isinstance(key, str):
            faults.append(Fault(path, f"expected text as key in line {line}, got {show(key)}"))
        elif key in seen:
            faults.append(Fault((*path, key), f"stands twice, in lines {seen[key]} and {line}"))
        else:
            seen[key] = line
            yield key, _value(value_node, (*path, key), faults)


def _scalar(node: yaml.ScalarNode) -> object:
    if node.tag == f"{_TAG}str":
        return node.value
    if node.tag in _SHOWN_PLAINLY:
        try:
            return yaml.constructor.SafeConstructor().construct_object(node)
        except (ValueError, LookupError):  # a forced tag, such as !!int x
            pass
    return _Odd(node.value, node.tag)
