"""A plugin of pytest's for `make live`: leaves a table of what was seen on a real server."""

import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest

MARKS = ("<!-- live: begin -->", "<!-- live: end -->")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--live-table", default="", help="file whose table of results is written")


_RESULTS: dict[str, tuple[str, float]] = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    result = yield
    report = result.get_result()  # type: ignore[attr-defined]
    title = (item.function.__doc__ or item.name).strip().splitlines()[0]  # type: ignore[attr-defined]
    case = re.search(r"\[(.+)\]$", item.name)
    name = f"{title.rstrip('.')}{f' ({case[1]})' if case else ''}"
    if report.when == "setup" and report.outcome == "passed":
        _RESULTS[name] = ("", report.duration)  # of what the test's fixtures had to run
    elif report.when == "call" or report.outcome != "passed":
        before = _RESULTS.get(name, ("", 0.0))
        outcome = {"passed": "seen", "failed": "FAILED", "skipped": "not tried"}[report.outcome]
        _RESULTS[name] = (outcome, before[1] + report.duration)


def pytest_sessionfinish(session: pytest.Session) -> None:
    target = session.config.getoption("--live-table", default="")
    if not target or not os.environ.get("KF_PIPELINES_ENDPOINT") or not _RESULTS:
        return
    version = os.environ.get("AUDIOSTYLE_LIVE_VERSION", "a server that does not tell its version")
    path = Path(str(target))
    with filelock.FileLock(f"{tempfile.gettempdir()}/audiostyle-live.lock"):
        text = path.read_text(encoding="utf-8") if path.exists() else "\n".join(MARKS)
        begin, end = text.index(MARKS[0]) + len(MARKS[0]), text.index(MARKS[1])
        # What was not run now stays as it was seen before.
        rows = dict(re.findall(r"^\| (.+?) \| (.+) \|$", text[begin:end], re.MULTILINE))
        for name, (outcome, seconds) in _RESULTS.items():
            if not outcome:
                continue  # interrupted
            day = time.strftime("%Y-%m-%d")
            rows[name] = f"{outcome} | {seconds:.0f} s | {day}, {version}"
        rows.pop("what", None)
        lines = [f"| {name} | {how} |" for name, how in rows.items()]
        table = "\n".join(["| what | | took | when and where |", "|---|---|---|---|", *lines])
        path.write_text(f"{text[:begin]}\n{table}\n{text[end:]}", encoding="utf-8")
