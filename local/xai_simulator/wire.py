"""Reading JSON bodies as strictly as a typed deserialiser does, and complaining in its words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xai_simulator.replies import Refusal

Reader = Callable[[Any], Any]


class Mistyped(Exception):
    """A value of the wrong type or an unknown variant, and the path that leads to it."""

    def __init__(self, text: str, path: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.path = path

    def under(self, step: str) -> Mistyped:
        """The same complaint, seen from one level further out."""
        joint = "" if not self.path or self.path.startswith("[") else "."
        return Mistyped(self.text, f"{step}{joint}{self.path}")

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


def _described(value: Any) -> str:
    kinds: tuple[tuple[type, str], ...] = (
        (bool, f"boolean `{str(value).lower()}`"),
        (int, f"integer `{value}`"),
        (float, f"floating point `{value}`"),
        (str, f"string {json.dumps(value, ensure_ascii=False)}"),
        (dict, "map"),
        (list, "sequence"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")


def _wrong(value: Any, expected: str) -> Mistyped:
    return Mistyped(f"invalid type: {_described(value)}, expected {expected}")


def text(value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise _wrong(value, "a string")
    return value


def boolean(value: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise _wrong(value, "a boolean")
    return value


def number(value: Any) -> float:
    """An integer or a fraction."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(value, "f64")
    try:
        return float(value)
    except OverflowError:
        raise _wrong(value, "f64") from None


def integer(value: Any) -> int:
    """A whole number, which a client may also write as 6.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(value, "i32")
    return value


def seconds(value: Any) -> int:
    """A whole number, or a string of digits."""
    if not isinstance(value, str):
        return integer(value)
    digits = value.strip()
    if not digits.removeprefix("-").isdecimal() or len(digits) > 9:
        raise Mistyped(
            f"invalid value: {_described(value)}, expected an integer or a numeric string"
        )
    return int(digits)


def variant(names: Sequence[str]) -> Reader:
    """One of a closed list of strings."""

    def read(value: Any) -> str:
        if text(value) not in names:
            known = ", ".join(f"`{name}`" for name in names)
            raise Mistyped(f"unknown variant `{value}`, expected one of {known}")
        return str(value)

    return read


def optional(reader: Reader) -> Reader:
    """What `reader` reads, or null."""
    return lambda value: None if value is None else reader(value)


def items(reader: Reader) -> Reader:
    """An array; null counts as an empty one."""

    def read(value: Any) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise _wrong(value, "a sequence")
        return [_at(f"[{index}]", reader, item) for index, item in enumerate(value)]

    return read


def record(
    name: str,
    fields: Mapping[str, Reader],
    *,
    required: Sequence[str] = (),
    aliases: Mapping[str, str] | None = None,
) -> Reader:
    """An object: known fields are read, unknown ones are ignored silently, as xAI does."""
    renamed = aliases or {}

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong(value, f"struct {name}")
        found: dict[str, Any] = {}
        for key, inner in value.items():
            field = renamed.get(key, key)
            if field not in fields:
                continue
            if field in found or key in getattr(value, "keys_repeated", ()):
                raise Mistyped(f"duplicate field `{field}`")
            found[field] = _at(key, fields[field], inner)
        missing = next((field for field in required if field not in found), None)
        if missing:
            raise Mistyped(f"missing field `{missing}`")
        return found

    return read


def _at(step: str, reader: Reader, value: Any) -> Any:
    try:
        return reader(value)
    except Mistyped as problem:
        raise problem.under(step) from None


class Repeated(dict[str, Any]):
    """A JSON object, and the keys that stood in it more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(key for key, _ in pairs)
        self.keys_repeated = {key for key, count in counts.items() if count > 1}


def _constant(name: str) -> float:
    raise ValueError(f"expected value, found {name}")


def parsed(body: bytes, reader: Reader) -> dict[str, Any]:
    """The fields of a JSON body, or the framework's own refusal: 400 for syntax, 422 for types."""
    try:
        value = json.loads(
            body.decode("utf-8"), parse_constant=_constant, object_pairs_hook=Repeated
        )
    except (ValueError, RecursionError) as problem:
        reason = f"Failed to parse the request body as JSON: {problem}"
        raise Refusal(reason, 400, plain=True) from None
    try:
        fields: dict[str, Any] = reader(value)
    except Mistyped as problem:
        column = len(body.splitlines()[-1]) if body.strip() else 0
        line = body.count(b"\n") + 1
        reason = f"Failed to deserialize the JSON body into the target type: {problem}"
        raise Refusal(f"{reason} at line {line} column {column}", 422, plain=True) from None
    return fields
