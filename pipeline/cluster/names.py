"""Names on a Kubeflow Pipelines server: of runs, schedules and experiments."""

import json

import kfp_server_api
from kfp_server_api import V2beta1Filter, V2beta1Predicate

from audiostyle.errors import InputError

LONGEST = 255  # characters, of a column of the server's database


def require_name(field: str, value: str, longest: int = LONGEST) -> str:
    """Return a name that the server can store and find again. Raises InputError naming the field.

    The server starts a run before it stores its name, so one that it cannot store must not be
    sent: the run would go on, unknown to it.
    """
    problem = ""
    if not 1 <= len(value) <= longest:
        problem = f"must have 1 to {longest} characters, and has {len(value)}"
    elif value != value.strip():
        problem = "must not begin or end with a space"
    elif not value.isprintable():
        problem = "must be one line of printable characters"
    elif "+" in value or "%" in value:
        # The server unescapes a filter twice, so that it would look for another name.
        problem = "must hold neither + nor %"
    if problem:
        shown = value if len(value) <= 60 else f"{value[:57]}…"
        raise InputError(f"{field}: {problem} (got {shown!r})")
    return require_storable(field, value)


def require_storable(field: str, value: str) -> str:
    """Return a text that the server's database has characters for. Raises InputError otherwise.

    The server's connection to MySQL has the character set utf8, of three bytes at most.
    """
    if any(ord(character) > 0xFFFF for character in value):
        raise InputError(
            f"{field}: must hold no emoji and no other character beyond U+FFFF (got {value!r})"
        )
    return value


def named(name: str) -> str:
    """The server's filter for objects of a name. Raises InputError for a name that is none."""
    predicate = V2beta1Predicate(
        operation="EQUALS", key="display_name", string_value=require_name("name", name)
    )
    wanted = V2beta1Filter(predicates=[predicate])
    return json.dumps(kfp_server_api.ApiClient().sanitize_for_serialization(wanted))
