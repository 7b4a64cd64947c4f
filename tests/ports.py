"""Ports for servers that are told theirs beforehand."""

import random
import socket


def free_port() -> int:
    """A loopback port that nobody listens on.

    Below those that systems lend to clients (from 32768 up on Linux), so that no connection of
    another test takes it before the server does.
    """
    while True:
        port = random.SystemRandom().randrange(12000, 32000)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
