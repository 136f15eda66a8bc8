"""From plain TOML values to configuration classes, without coercion and with every fault at once.

cattrs walks the classes and gathers what goes wrong; the hooks here decide what is accepted and word what is
not. A whole number stands for a number where one is expected; nothing else is converted.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

import attrs
import cattrs
from cattrs.cols import homogenous_tuple_structure_factory, list_structure_factory
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError
from cattrs.gen import make_dict_structure_fn, override

from multilogger.config.expect import Expect, one_of, show
from multilogger.config.sections import ExchangeConfig

T = TypeVar("T")
Hook = Callable[[Any, Any], Any]
Key = str | int
"""A key of a table or an index of a list."""


@attrs.frozen
class Fault:
    """One thing that is wrong."""

    path: tuple[Key, ...]
    words: str


class _Refused(ValueError):
    """A value is refused; the message tells what was expected and what came."""


class _WrongType(_Refused):
    """A value is of another type than its key's."""

    def __init__(self, expected: str, value: object) -> None:
        self.expected = expected
        super().__init__(f"expected {expected}, got {show(value)}")


def structure(value: object, cls: type[T], path: tuple[Key, ...]) -> tuple[T | None, list[Fault]]:
    """Make a ``cls`` of a TOML table.

    Args:
        value: what stands in the file, a table if all is well.
        cls: an attrs class.
        path: where it stands, for the faults.

    Returns:
        The instance and no faults, or None and all faults.
    """
    try:
        return _converter.structure(value, cls), []
    except (ClassValidationError, _Refused) as error:
        return None, list(_faults(error, path))


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ", did you mean …?" where ``word`` is nearly one of ``known``, else what there is."""
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1)
    return f", did you mean {near[0]}?" if near else f": there are {', '.join(names) or 'none'}"


def _faults(error: BaseException, path: tuple[Key, ...]) -> Iterator[Fault]:
    if isinstance(error, ClassValidationError | IterableValidationError):
        for step, fault in _parts(error):
            yield from _faults(fault, (*path, *step))
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [field.name for field in attrs.fields(error.cl)]
        for key in sorted(error.extra_fields):
            yield Fault((*path, key), f"unknown key{suggestion(key, known)}")
    elif isinstance(error, KeyError):  # cattrs looks required keys up in the table
        yield Fault(path, "required, but missing")
    else:
        yield Fault(path, str(error))


def _parts(
    error: ClassValidationError | IterableValidationError,
) -> Iterator[tuple[tuple[Key, ...], Exception]]:
    """Yield the faults of a table or list, each with its key or index where it has one."""
    if isinstance(error, ClassValidationError):
        noted, others = error.group_exceptions()
        yield from (((note.name,), fault) for fault, note in noted)
    else:
        items, others = error.group_exceptions()
        yield from (((note.index,), fault) for fault, note in items)
    yield from (((), fault) for fault in others)


def _structure_bool(value: Any, _kind: Any) -> bool:
    if not isinstance(value, bool):
        raise _WrongType("true or false", value)
    return value


def _structure_int(value: Any, _kind: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _WrongType("a whole number", value)
    return value


def _structure_float(value: Any, _kind: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _WrongType("a number", value)
    try:
        number = float(value)
    except OverflowError:
        raise _WrongType("a number", value) from None
    if not math.isfinite(number):
        raise _WrongType("a finite number", value)
    return number


def _structure_str(value: Any, _kind: Any) -> str:
    if not isinstance(value, str):
        raise _WrongType("text", value)
    return value


def _structure_path(value: Any, _kind: Any) -> Path:
    # Path("") would silently be the working directory, and nothing here expands a ~.
    if not isinstance(value, str) or not value or "\0" in value or value.startswith("~"):
        raise _WrongType("a path, not empty and without ~", value)
    return Path(value)


def _literal_hook(kind: Any, _converter: cattrs.BaseConverter) -> Hook:
    options = get_args(kind)
    expected = one_of(*options).expected

    def structure_literal(value: Any, _kind: Any) -> Any:
        if not any(value == option and type(value) is type(option) for option in options):
            raise _WrongType(expected, value)
        return value

    return structure_literal


def _list_hook(kind: Any, converter: cattrs.BaseConverter) -> Hook:
    """Accept lists alone: to cattrs a text is a sequence of its characters."""
    make = homogenous_tuple_structure_factory if get_origin(kind) is tuple else list_structure_factory
    fill: Hook = make(kind, converter)

    def structure_list(value: Any, kind: Any) -> Any:
        if not isinstance(value, list):
            raise _WrongType("a list", value)
        return fill(value, kind)

    return structure_list


def _class_hook(cls: Any, converter: cattrs.BaseConverter) -> Hook:
    fields = attrs.fields(attrs.resolve_types(cls))
    overrides: dict[str, Any] = {
        field.name: override(struct_hook=_field_hook(field, _validator(cls, field), converter))
        for field in fields
        if field.init
    }
    fill: Hook = make_dict_structure_fn(
        cls, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True, **overrides
    )

    def structure_table(value: Any, kind: Any) -> Any:
        if not isinstance(value, dict):
            raise _WrongType("a table", value)
        return fill(value, kind)

    return structure_table


def _validator(cls: type, field: attrs.Attribute[Any]) -> Any:
    """Return a key's validator; an exchange that only changes a common key's default keeps its range."""
    if field.validator is None and issubclass(cls, ExchangeConfig):
        return getattr(attrs.fields_dict(ExchangeConfig).get(field.name), "validator", None)
    return field.validator


def _field_hook(field: attrs.Attribute[Any], validator: Any, converter: cattrs.BaseConverter) -> Hook:
    """Run each key's own validator: attrs stops at the first that fails."""
    fill = converter.get_structure_hook(field.type)

    def structure_field(value: Any, kind: Any) -> Any:
        try:
            result = fill(value, kind)
        except _WrongType as error:
            expected = validator.expected if isinstance(validator, Expect) else error.expected
            raise _WrongType(expected, value) from None
        _judge(validator, field, result, value)
        return result

    return structure_field


def _judge(validator: Any, field: attrs.Attribute[Any], result: object, value: object) -> None:
    """Refuse ``result`` in the validator's words, without the key's name, which the path tells."""
    if isinstance(validator, Expect):
        if not validator.holds(result):
            raise _WrongType(validator.expected, value)
    elif validator is not None:
        try:
            validator(None, field, result)
        except (ValueError, TypeError) as error:
            words = str(error.args[0] if error.args else error).removeprefix(f"{field.name}: ")
            raise _Refused(words if "got " in words else f"{words}, got {show(value)}") from None


def _is_list(kind: Any) -> bool:
    return get_origin(kind) in (tuple, list)


def _is_literal(kind: Any) -> bool:
    origin: object = get_origin(kind)
    return origin is Literal


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=True)
    converter.register_structure_hook(bool, _structure_bool)
    converter.register_structure_hook(int, _structure_int)
    converter.register_structure_hook(float, _structure_float)
    converter.register_structure_hook(str, _structure_str)
    converter.register_structure_hook(Path, _structure_path)
    converter.register_structure_hook_factory(_is_list, _list_hook)
    converter.register_structure_hook_factory(_is_literal, _literal_hook)
    converter.register_structure_hook_factory(attrs.has, _class_hook)
    return converter


_converter: Final = _make_converter()
