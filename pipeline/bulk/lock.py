"""One caller at a time: a lock in the store that results go to, folder or bucket alike.

All it needs of a store is to write an object only where there is none. Each holder writes one of
the next number, and renews it every few seconds. Whoever sees that the holder of the newest one is
gone writes the next; of several that try, one succeeds. A holder who sees a newer one than its own
stops.

A holder is gone when its object says so, when its process on this machine is dead, or when it has
not been renewed for a minute. On this machine that is measured by one clock. The clock of another
machine may be wrong: before its lock is taken over, it is watched for longer than a live holder
takes to renew it.
"""

import json
import logging
import os
import random
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audiostyle.errors import AudiostyleError, InputError
from audiostyle.retry import passes, patiently
from audiostyle.store import Store
from audiostyle.untrusted import json_value

log = logging.getLogger(__name__)

# Seconds between two renewals, and after how many without one a holder counts as gone.
BEAT, EXPIRY = 10.0, 60.0
# Seconds, about, between two looks of one who waits for the lock, or watches it.
_LOOK = 2.0

_NAME = re.compile(r"lock-(\d{1,6})-of-(\d{1,6})-(\d{9})\.json")
_LAST = 10**9 - 1
_MOST = 1 << 16  # bytes of one


class HeldError(AudiostyleError):
    """Another call has the lock."""


class Lock:
    """The right to write a shard's results, held until it is left or lost."""

    def __init__(self, store: Store, shard: tuple[int, int], patience: float) -> None:
        self._store = store
        self._shard = shard
        self._patience = patience
        self.number = 0
        self._me = {"owner": uuid.uuid4().hex, "pid": os.getpid(), **_this_process()}
        self._renewed_at = time.monotonic()
        self._lost = ""
        self._stop = threading.Event()
        self._writing = threading.Lock()
        # Locks of others: their last content, and since when they have not changed.
        self._seen: dict[str, tuple[bytes, float]] = {}

    def take(self, wait: float = 0.0) -> None:
        """Raises AudiostyleError naming the holder where there is one, and still is after `wait`.

        wait: in seconds; longer than EXPIRY outlasts a holder whose machine was lost.
        """
        until = time.monotonic() + wait
        warned = False
        while True:
            try:
                patiently(self._take, self._patience, "lock")
                return
            except HeldError as error:
                if time.monotonic() >= until:
                    raise
                if not warned:
                    log.warning("%s; waiting for it", error)
                warned = True
            _pause()

    def _take(self) -> None:
        newest = self._newest()
        for shard, number in newest.items():
            if shard == self._shard or shard[1] != self._shard[1]:
                self._refuse_if_held(shard, number)
        number = newest.get(self._shard, 0) + 1
        if number > _LAST:
            raise AudiostyleError(
                f"{self._store.uri}: has a lock of the last number; delete its files lock-*.json"
            )
        self.number = number
        key = self._key(self._shard, number)
        if not self._store.put(key, self._content(), absent=True):
            self._store.get(key, most=_MOST)  # raises where it is no file, and so nobody's lock
            raise HeldError(f"{self._store.uri}: another call took the lock just now")
        # Whoever looked before that one was there sees it now, and so one of two withdraws.
        newest = self._newest()
        try:
            for shard, last in newest.items():
                if shard[1] != self._shard[1] or (shard == self._shard and last > number):
                    self._refuse_if_held(shard, last)
        except AudiostyleError:
            self._store.delete(self._key(self._shard, number))
            raise
        for old in self._older(number):
            self._store.delete(old)

    def check(self) -> None:
        """Raise AudiostyleError where another call has taken over, as far as is known."""
        if self._lost:
            raise AudiostyleError(self._lost)
        # A machine that slept, or an outage: another may have taken over meanwhile.
        if time.monotonic() - self._renewed_at > EXPIRY / 2:
            self.confirm()

    def confirm(self) -> None:
        """Ask the store, and raise AudiostyleError where another call has taken over."""
        patiently(self._renew, self._patience, "lock")
        if self._lost:
            raise AudiostyleError(self._lost)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Renew the lock every few seconds; give it back at the end."""
        thread = threading.Thread(target=self._keep_renewing, name="lock", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            if not self._lost:
                self._release()

    def _release(self) -> None:
        try:
            self._store.put(self._key(self._shard, self.number), self._content(released=True))
        except (AudiostyleError, OSError) as error:
            log.warning("lock: not given back, it expires in %.0f s: %s", EXPIRY, error)

    def _keep_renewing(self) -> None:
        while not self._stop.wait(BEAT):
            try:
                self._renew()
            except (AudiostyleError, OSError) as error:
                if not passes(error):
                    self._lost = str(error)
                    return

    def _renew(self) -> None:
        with self._writing:
            if self._lost:
                return
            if self._newest().get(self._shard, 0) > self.number:
                self._lost = (
                    f"{self._store.uri}: another call took over, as this one did not renew its"
                    f" lock for {EXPIRY:.0f} s"
                )
                return
            self._store.put(self._key(self._shard, self.number), self._content())
            self._renewed_at = time.monotonic()

    def _newest(self) -> dict[tuple[int, int], int]:
        """The newest number of each shard."""
        newest: dict[tuple[int, int], int] = {}
        for _, shard, number in self._locks():
            newest[shard] = max(newest.get(shard, 0), number)
        return newest

    def _older(self, number: int) -> list[str]:
        return [key for key, shard, n in self._locks() if shard == self._shard and n < number]

    def _locks(self) -> list[tuple[str, tuple[int, int], int]]:
        """Key, shard and number of all locks, of which only names in their own form count."""
        locks = []
        for entry in self._store.list("lock-"):
            if match := _NAME.fullmatch(entry.key):
                shard, number = (int(match[1]), int(match[2])), int(match[3])
                if entry.key == self._key(shard, number) and shard[0] < shard[1]:
                    locks.append((entry.key, shard, number))
        return locks

    def _refuse_if_held(self, shard: tuple[int, int], number: int) -> None:
        key = self._key(shard, number)
        holder = self._holder(key)
        if holder is None or self._gone(key, holder):
            return
        part = f" (shard {shard[0]}/{shard[1]})" if shard[1] > 1 else ""
        raise HeldError(
            f"{self._store.uri}: process {int(holder['pid'])} on {holder['host']!s:.80} is working"
            f" on this output{part}; it renewed its lock {_age(holder):.0f} s ago, and counts as"
            f" gone after {EXPIRY:.0f} s"
        )

    def _holder(self, key: str) -> dict[str, Any] | None:
        """Who wrote a lock. None where it is gone, or only a part: its writer died writing it."""
        try:
            content = self._store.get(key, most=_MOST)
            if content is None:
                return None
            holder = json_value(content)
            int(holder["pid"]), float(holder["beat"]), str(holder["host"]), holder["released"]
        except (InputError, ValueError, KeyError, TypeError, OverflowError):
            return None
        before = self._seen.get(key)
        if before is None or before[0] != content:
            self._seen[key] = content, time.monotonic()
        return dict(holder)

    def _gone(self, key: str, holder: dict[str, Any]) -> bool:
        if holder["released"] or _dead(holder):
            return True
        if _unchanged_for(self._seen[key]) > EXPIRY:
            return True
        if _on_this_machine(holder):
            return _age(holder) > EXPIRY
        behind = time.time() - float(holder["beat"])
        if abs(behind) <= EXPIRY:
            return False
        # Either it is gone, or its clock or this one is wrong: a live holder renews its lock.
        seconds = 1.5 * BEAT if behind > 0 else EXPIRY
        log.warning(
            "%s/%s: was renewed %.0f s %s, by the clock of %.80s; watched for %.0f s before it is"
            " taken over",
            *(self._store.uri, key, abs(behind), "ago" if behind > 0 else "in the future"),
            *(str(holder["host"]), seconds),
        )
        return self._unchanged(key, seconds)

    def _unchanged(self, key: str, seconds: float) -> bool:
        """Watch a lock; whether it stays as it is for so many seconds."""
        content = self._seen[key][0]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(min(_LOOK, seconds / 10))
            if self._holder(key) is None:
                return True
            if self._seen[key][0] != content:
                return False
        return True

    def _content(self, *, released: bool = False) -> bytes:
        beat = {"beat": time.time(), "uptime": time.monotonic(), "released": released}
        return json.dumps({**self._me, **beat}).encode()

    @staticmethod
    def _key(shard: tuple[int, int], number: int) -> str:
        return f"lock-{shard[0]}-of-{shard[1]}-{number:09d}.json"


def _pause() -> None:
    time.sleep(random.uniform(0.5, 1.5) * _LOOK)  # noqa: S311, of two who wait one is first


def _unchanged_for(seen: tuple[bytes, float]) -> float:
    return time.monotonic() - seen[1]


def _age(holder: dict[str, Any]) -> float:
    """Seconds since a lock was renewed; of this machine's by a clock that nobody sets."""
    if _on_this_machine(holder) and isinstance(holder.get("uptime"), (int, float)):
        return max(0.0, time.monotonic() - float(holder["uptime"]))
    return max(0.0, time.time() - float(holder["beat"]))


def _this_process() -> dict[str, Any]:
    """What tells processes apart that have the same number."""
    return {"host": socket.gethostname(), "place": _place(), "begun": _begun(os.getpid())}


def _place() -> str:
    """The machine's run and the container: where a process number means something."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115, no path but a name
    except OSError:
        return ""


def _begun(pid: int) -> str:
    """When a process began, in ticks; empty where it is gone or a zombie, or this is no Linux."""
    try:
        # The name before may hold anything, blanks and brackets too.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _on_this_machine(holder: dict[str, Any]) -> bool:
    place = holder.get("place")
    return bool(place) and (place, holder["host"]) == (_place(), socket.gethostname())


def _dead(holder: dict[str, Any]) -> bool:
    """Whether a holder's process was on this machine and is there no more."""
    return _on_this_machine(holder) and _begun(int(holder["pid"])) != holder.get("begun")
