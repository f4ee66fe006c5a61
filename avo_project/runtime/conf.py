"""The settings of an app: a dictionary in Django's settings over typed defaults, validated as a whole.

An app declares them as a frozen dataclass::

    @dataclass(frozen=True, slots=True)
    class RegimeConf(Conf):
        NAME = "REGIME"

        write_batch: int = 3
        confirm_seconds: float = setting(60.0, at_most=3_600)
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, field, fields
from types import NoneType, UnionType
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class ConfError(ImproperlyConfigured):
    """Unusable settings. The message has a line for each, with its name or variable and what it must be."""


def setting(
    default: Any = MISSING,
    *,
    variable: str = "",
    at_least: float | None = None,
    at_most: float = math.inf,
    raw: Any = None,
    parse: Callable[[Any, Mapping[str, Any]], Any] | None = None,
) -> Any:
    """A field with limits or a parser. Without ``default`` the setting is required.

    ``variable`` is its environment variable, which messages name. A whole number is at least 1 and another number at
    least 0 unless ``at_least`` says otherwise. ``parse`` gets the value, of type ``raw``, and the values of the fields
    before it; it raises ValueError with what to write.
    """
    limits = {"variable": variable, "at_least": at_least, "at_most": at_most, "raw": raw, "parse": parse}
    return field(default=default, metadata=limits)


class Conf:
    """Base class. The keys of ``settings.<NAME>`` are the names of the fields in upper case."""

    __slots__ = ()
    NAME: ClassVar[str]

    @classmethod
    def load(cls) -> Self:
        """The settings now, validated once for each dictionary that is assigned to them. Raises ConfError."""
        given: Mapping[str, Any] = getattr(settings, cls.NAME)
        loaded = _loaded.get(cls)
        if loaded is None or loaded[0] is not given:
            loaded = _loaded[cls] = given, cls._validated(given)
        return loaded[1]

    def problems(self) -> Iterator[str]:
        """Lines about settings that do not fit together. To be overridden."""
        yield from ()

    @classmethod
    def _validated(cls, given: Mapping[str, Any]) -> Self:
        specs: dict[str, Field[Any]] = {spec.name.upper(): spec for spec in fields(cls)}  # type: ignore[arg-type]
        _raise_all(_invalid_settings(cls.NAME, given, specs, get_type_hints(cls)))
        values: dict[str, Any] = {}
        for key, spec in specs.items():
            if key in given:
                parse = spec.metadata.get("parse")
                try:
                    values[spec.name] = parse(given[key], values) if parse else given[key]
                except ValueError as error:
                    raise ConfError(f"{spec.metadata['variable'] or f'{cls.NAME}: {key}'}: {error}") from None
        conf = cls(**values)
        _raise_all(conf.problems())
        return conf


_loaded: dict[type[Conf], tuple[Mapping[str, Any], Any]] = {}


def _raise_all(lines: Iterator[str]) -> None:
    if text := "\n".join(lines):
        raise ConfError(text)


def _invalid_settings(
    name: str, given: Mapping[str, Any], specs: Mapping[str, Field[Any]], hints: Mapping[str, Any]
) -> Iterator[str]:
    if unknown := sorted(map(str, given.keys() - specs.keys())):
        yield f"{name}: unknown setting {', '.join(unknown)}. Known settings: {', '.join(specs)}"
    for key, spec in specs.items():
        if key in given:
            problem = _type_or_range_error(given[key], spec.metadata.get("raw") or hints[spec.name], spec.metadata)
        else:
            problem = "is required" if spec.default is MISSING and spec.default_factory is MISSING else ""
        if problem:
            variable = spec.metadata.get("variable")
            yield f"{variable}: {problem}." if variable else f"{name}: {key} {problem}."


def _type_or_range_error(value: Any, wanted: Any, limits: Mapping[str, Any]) -> str:
    """What is wrong with the type or the size of ``value``, which is printed only if it is a number, and no secret."""
    if not _fits(value, wanted):
        return f"must be {_described(wanted)}, not a value of type {type(value).__name__}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    most, least = limits.get("at_most", math.inf), limits.get("at_least")
    least = least if least is not None else int(not _fits(0.5, wanted))
    if least <= value <= most and math.isfinite(value):
        return ""
    return f"must be {least:,} {'or more' if most == math.inf else f'to {most:,}'}, not {value}"


def _fits(value: Any, wanted: Any) -> bool:
    inner = get_args(wanted)
    match get_origin(wanted) or wanted:
        case kind if kind is UnionType:
            return any(_fits(value, one) for one in inner)
        case kind if kind is Mapping:
            return isinstance(value, Mapping) and all(_fits(one, inner[1]) for one in value.values())
        case kind if kind is Sequence:
            return isinstance(value, list | tuple) and all(_fits(one, inner[0]) for one in value)
        case kind if kind in (int, float):
            return isinstance(value, int | kind) and not isinstance(value, bool)
        case kind:
            return isinstance(value, kind)


_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "True or False",
    NoneType: "None",
    Sequence: "a list of texts",
    Mapping: "a dictionary",
}


def _described(wanted: Any) -> str:
    kinds = get_args(wanted) if get_origin(wanted) is UnionType else (wanted,)
    return " or ".join(_NAMES[get_origin(kind) or kind] for kind in kinds)
