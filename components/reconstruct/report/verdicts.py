"""The verdict of the promotion gate in words for people who never heard of a gate."""

_WORDS = {
    "promote": (
        "Accepted as default",
        "This classifier is used from now on, where no other is asked for.",
    ),
    "hold": (
        "Not accepted as default",
        "This classifier is registered, and used only where it is asked for by its version.",
    ),
    "unchanged": (
        "Default as before",
        "Data and settings are those of the default classifier, so that none was trained.",
    ),
}


def verdict_words(verdict: str) -> tuple[str, str]:
    """A title and what it means; an unknown verdict is its own title, and "" has none."""
    return _WORDS.get(verdict, (verdict, ""))
