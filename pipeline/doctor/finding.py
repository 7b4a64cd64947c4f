"""What a check says: a state, what there is, and what to do."""

from dataclasses import dataclass, field
from typing import Literal

# absent: optional, and not set up here. problem: needed or set up, and does not work.
State = Literal["ok", "absent", "problem"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check. remedy: what to do, empty where nothing is to be done."""

    state: State
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class Surroundings:
    """What the checks look at: paths and addresses as the caller gave them."""

    workspace: str = "outputs"
    tracking_uri: str = ""
    store: str = ""
    connection: dict[str, str] = field(default_factory=dict)
    seconds: float = 10.0  # for one answer of a server
