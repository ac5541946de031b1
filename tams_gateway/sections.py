"""Sections of the config become structs, and every mistake one line that says where and what."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from tams_gateway.config_file import ConfigError, Override
from tams_gateway.plugin.provider import Secret

S = TypeVar("S", bound=msgspec.Struct)

_LISTS = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)


def convert(section: Mapping[str, Any], struct: type[S], source: str, key: str) -> S:
    """Return a section as its struct; values are taken strictly, overrides by their text.

    `source` and `key` say where the section stands. A `Secret` field also takes plain text.
    Raises `ConfigError` for unknown, missing and wrong keys, and for what the struct's own
    `__post_init__` refuses with a `ValueError`; it names a key by beginning with `KEY: `.
    """
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for name, value in section.items():
        if name not in fields:
            reason = f"unknown key; expected one of {', '.join(sorted(fields))}"
            raise mistake(source, f"{key}.{name}", reason, value)
    values = {}
    for name, field in fields.items():
        if name in section:
            values[field.name] = value_of(section[name], field.type, source, f"{key}.{name}")
        elif field.required:
            raise mistake(source, f"{key}.{name}", f"is missing; expected {expected(field.type)}")
    try:
        return struct(**values)
    except ValueError as error:
        name, _, reason = str(error).partition(": ")
        if name not in fields:
            raise mistake(source, key, str(error)) from error
        raise mistake(source, f"{key}.{name}", reason, section.get(name)) from error


def value_of(value: Any, type_: Any, source: str, key: str) -> Any:
    """Return one value of the config as the type. Raises `ConfigError` naming its place.

    A list of secrets may be written as the only one that is in it.
    """
    override = _find_override(value)
    if override is value:
        value = _from_text(str(value), type_)
    elif type_ == tuple[Secret, ...] and isinstance(value, str | Secret):
        value = [value]
    try:
        return msgspec.convert(value, type_, strict=override is None, dec_hook=_custom)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        if reason.startswith("Invalid enum value"):
            reason = f"expected {expected(type_)}"
        reason = re.sub("`(.*?)`", _plain, reason)
        key += path.rstrip("`")
        raise mistake(source, key, reason[0].lower() + reason[1:], override) from error


def mistake(source: str, key: str, reason: str, value: Any = None) -> ConfigError:
    """Return the error about a key: it names the variable where an override set the value."""
    override = _find_override(value)
    where = f"{source}: {key}" if override is None else override.variable
    return ConfigError(f"{where}: {reason}")


def expected(type_: Any) -> str:
    """Return the words for a type that an operator understands, as in `integer or nothing`."""
    return _words(inspect.type_info(type_))


def _words(info: inspect.Type) -> str:
    if isinstance(info, _LISTS):
        return f"list of {_words(info.item_type)}"
    match info:
        case inspect.UnionType(types):
            return " or ".join(_words(one) for one in types)
        case inspect.LiteralType(values):
            return "one of " + ", ".join(map(repr, values))
        case inspect.EnumType(enum):
            return "one of " + ", ".join(repr(member.value) for member in enum)
        case inspect.DictType():
            return f"table of {_words(info.value_type)}"
        case inspect.CustomType(cls):
            return cls.__name__.lower()
    return _NAMES.get(type(info), type(info).__name__.removesuffix("Type").lower())


_NAMES = {
    inspect.StrType: "text",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.BoolType: "true or false",
    inspect.NoneType: "nothing",
    inspect.StructType: "table",
    inspect.AnyType: "anything",
}


def _plain(types: re.Match[str]) -> str:
    """Return the operator's words for msgspec's `str | null`."""
    return " or ".join(_PLAIN.get(name, name) for name in types[1].split(" | "))


_PLAIN = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "bool": "true or false",
    "array": "list",
    "object": "table",
    "null": "nothing",
    "Secret": "secret",
}


def _find_override(value: Any) -> Override | None:
    if isinstance(value, Override):
        return value
    nested = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for item in nested if (found := _find_override(item)) is not None), None)


def _from_text(text: str, type_: Any) -> Any:
    """Return what a variable's text means for the type: JSON and comma lists where it has them."""
    info = inspect.type_info(type_)
    kinds = info.types if isinstance(info, inspect.UnionType) else (info,)
    if any(isinstance(kind, inspect.StrType | inspect.CustomType) for kind in kinds):
        return text
    if text.lstrip().startswith(("[", "{")):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    if any(isinstance(kind, _LISTS) for kind in kinds):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _custom(type_: type, value: Any) -> Any:
    if type_ is Secret and isinstance(value, str):
        return Secret(str(value))
    return value
