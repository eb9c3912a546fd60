#!/usr/bin/python3
"""Publishes a hook's call on a Redis channel.

    redis.py HOST:PORT CHANNEL [PASSWORD_FILE]

The message is the call's JSON. A call may come twice: subscribers who must not act twice remember its key.
"""

import socket
import sys


def command(stream, *words):
    """Sends a command and gives the answer, one line."""
    request = b"*%d\r\n" % len(words)
    for word in words:
        request += b"$%d\r\n%s\r\n" % (len(word), word)
    stream.sendall(request)
    answer = b""
    while not answer.endswith(b"\r\n"):
        more = stream.recv(1)
        if not more:
            raise ConnectionError("the server hung up")
        answer += more
    text = answer[1:-2].decode(errors="replace")
    if answer[:1] not in b"+:":
        raise ConnectionError(text)
    return text


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as stream:
        if len(sys.argv) > 3:
            with open(sys.argv[3], "rb") as f:
                command(stream, b"AUTH", f.read().rstrip(b"\n"))
        heard = command(stream, b"PUBLISH", sys.argv[2].encode(), sys.stdin.buffer.read())
    print("%s subscribers heard it" % heard)


try:
    main()
except OSError as e:
    sys.exit("%s: %s" % (sys.argv[1], e))
