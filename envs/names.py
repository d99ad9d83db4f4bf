"""What a game or a world is called: a short name and parameters, as in "connect_four(rows=4,columns=4)"."""

from __future__ import annotations

import re

Parameters = dict[str, int | float | bool | str]


def split(name: str, kind: str) -> tuple[str, str]:
    """What stands before the brackets, and between them. Raises ValueError for what is not the name of `kind`."""
    found = re.fullmatch(r"([\w-]+)(?:\((.*)\))?", name.strip())
    if found is None:
        raise ValueError(f"{name.strip()!r} is not the name of {kind}")
    return found[1], found[2] or ""


def parameters(name: str, text: str) -> Parameters:
    """Plain values by their keys, of the text between the brackets."""
    values: Parameters = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not value:
            raise ValueError(f"{name}: {part!r} is not of the form parameter=value")
        values[key] = plain(value)
    return values


def plain(value: str) -> int | float | bool | str:
    """A number, true or false, where it is written as one; else the text itself."""
    if re.fullmatch(r"-?\d+", value):
        return int(value)
    if re.fullmatch(r"-?\d*\.\d*", value) and value.strip("-") != ".":
        return float(value)
    return value.lower() == "true" if value.lower() in ("true", "false") else value
