"""One caller at a time: a lock in the store that results go to, folder or bucket alike.

All it needs of a store is to write an object only where there is none. Each holder writes one of
the next number, and keeps saying in it that he lives. Whoever finds the newest one's holder gone
(it says so, its process on this machine is dead, or it has not been heard of for a minute) writes
the next; of several that try, one succeeds. A holder who finds a newer one than his own stops.
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

from audiostyle.errors import AudiostyleError
from audiostyle.retry import passes, patiently
from audiostyle.store import Store

log = logging.getLogger(__name__)

# Seconds between two signs of life, and after how many without one a holder counts as gone:
# clocks of machines that share a store must agree to better than the difference.
BEAT, EXPIRY = 10.0, 60.0
# Seconds between two looks of one who waits, about.
_LOOK = 2.0

_NAME = re.compile(r"lock-(\d+)-of-(\d+)-(\d{9})\.json")


class HeldError(AudiostyleError):
    """Somebody else has the lock."""


class Lock:
    """The right to write a shard's results, held until it is left or lost."""

    def __init__(self, store: Store, shard: tuple[int, int], patience: float) -> None:
        self._store = store
        self._shard = shard
        self._patience = patience
        self._number = 0
        self._me = {"owner": uuid.uuid4().hex, "pid": os.getpid(), **_here()}
        self._heard = time.monotonic()
        self._lost = ""
        self._stop = threading.Event()
        self._writing = threading.Lock()

    def take(self, wait: float = 0.0) -> None:
        """Raises AudiostyleError naming the holder where there is one, and still is after `wait`.

        wait: in seconds; for longer than EXPIRY whoever was lost is outlived.
        """
        until = time.monotonic() + wait
        told = False
        while True:
            try:
                patiently(self._take, self._patience, "lock")
                return
            except HeldError as error:
                if time.monotonic() >= until:
                    raise
                if not told:
                    log.warning("%s; waiting for it", error)
                told = True
            time.sleep(random.uniform(0.5, 1.5) * _LOOK)  # noqa: S311, of two who wait one is first

    def _take(self) -> None:
        found = self._found()
        for shard, number in found.items():
            if shard == self._shard or shard[1] != self._shard[1]:
                self._refuse_if_held(shard, number)
        number = found.get(self._shard, 0) + 1
        self._number = number
        if not self._store.put(self._key(self._shard, number), self._told(), absent=True):
            raise HeldError(f"{self._store.uri}: another call took the lock just now")
        # Whoever looked before that one was there sees it now, and so one of two withdraws.
        found = self._found()
        try:
            for shard, newest in found.items():
                if shard[1] != self._shard[1] or (shard == self._shard and newest > number):
                    self._refuse_if_held(shard, newest)
        except AudiostyleError:
            self._store.delete(self._key(self._shard, number))
            raise
        for old in self._older(number):
            self._store.delete(old)

    def check(self) -> None:
        """Raise AudiostyleError where someone else has taken over."""
        if self._lost:
            raise AudiostyleError(self._lost)
        # A machine that slept, or an outage: has someone taken over meanwhile?
        if time.monotonic() - self._heard > EXPIRY / 2:
            patiently(self._beat, self._patience, "lock")
            self.check()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Say every few seconds that this process lives; give the lock back at the end."""
        thread = threading.Thread(target=self._live, name="lock", daemon=True)
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
            self._store.put(self._key(self._shard, self._number), self._told(released=True))
        except (AudiostyleError, OSError) as error:
            log.warning("lock: not given back, it expires in %.0f s: %s", EXPIRY, error)

    def _live(self) -> None:
        while not self._stop.wait(BEAT):
            try:
                self._beat()
            except (AudiostyleError, OSError) as error:
                if not passes(error):
                    self._lost = str(error)
                    return

    def _beat(self) -> None:
        with self._writing:
            newest = self._found().get(self._shard, 0)
            if newest > self._number:
                self._lost = (
                    f"{self._store.uri}: another call took over, as this one was not heard of for"
                    f" {EXPIRY:.0f} s"
                )
                return
            self._store.put(self._key(self._shard, self._number), self._told())
            self._heard = time.monotonic()

    def _found(self) -> dict[tuple[int, int], int]:
        """The newest number of each shard."""
        newest: dict[tuple[int, int], int] = {}
        for entry in self._store.list("lock-"):
            if match := _NAME.fullmatch(entry.key):
                shard = int(match[1]), int(match[2])
                newest[shard] = max(newest.get(shard, 0), int(match[3]))
        return newest

    def _older(self, number: int) -> list[str]:
        keys = [entry.key for entry in self._store.list("lock-")]
        return [
            key
            for key in keys
            if (match := _NAME.fullmatch(key))
            and (int(match[1]), int(match[2])) == self._shard
            and int(match[3]) < number
        ]

    def _refuse_if_held(self, shard: tuple[int, int], number: int) -> None:
        content = self._store.get(self._key(shard, number))
        if content is None:
            return
        try:
            told: dict[str, Any] = json.loads(content)
            gone = bool(told["released"]) or _dead(told) or time.time() - told["beat"] > EXPIRY
            who = f"process {int(told['pid'])} on {told['host']!s:.80}"
        except (ValueError, KeyError, TypeError):
            return  # a part of a file: its writer died writing it
        if not gone:
            part = f" (shard {shard[0]}/{shard[1]})" if shard[1] > 1 else ""
            raise HeldError(
                f"{self._store.uri}: {who} is working on this output{part}; it was heard of"
                f" {max(0.0, time.time() - told['beat']):.0f} s ago, and counts as gone after"
                f" {EXPIRY:.0f} s"
            )

    def _told(self, *, released: bool = False) -> bytes:
        return json.dumps({**self._me, "beat": time.time(), "released": released}).encode()

    @staticmethod
    def _key(shard: tuple[int, int], number: int) -> str:
        return f"lock-{shard[0]}-of-{shard[1]}-{number:09d}.json"


def _here() -> dict[str, Any]:
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


def _dead(told: dict[str, Any]) -> bool:
    """Whether a holder's process was on this machine and is there no more."""
    same = told.get("place") and (told["place"], told["host"]) == (_place(), socket.gethostname())
    return bool(same) and _begun(int(told["pid"])) != told.get("begun")
