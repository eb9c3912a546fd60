#!/usr/bin/python3
"""Says something to the players who are left on an old generation, over the game servers' RCON.

    rcon.py PORT PASSWORD_FILE COMMAND

A hook of ebbtide's notice. It logs in to each backend that has somebody left, at PORT, and runs COMMAND there: once, or for
each player when {client} or {ip} is in it. {version} is that of the new generation, {deadline} when they will be moved.
Two runs with one key say the same thing twice, which harms nobody.
"""

import json
import socket
import struct
import sys

LOGIN, LOGGED_IN, COMMAND, OUTPUT = 3, 2, 2, 0
MOST = 4096  # bytes of a packet


class RCON:
    def __init__(self, host, port, password):
        self.stream = socket.create_connection((host, port), timeout=10)
        self.send(1, LOGIN, password)
        while True:
            number, kind, _ = self.receive()
            if kind == LOGGED_IN:  # an empty output may come first
                break
        if number != 1:
            raise PermissionError("the password is wrong")

    def run(self, command):
        self.send(2, COMMAND, command)
        return self.receive()[2]

    def send(self, number, kind, text):
        body = text.encode()
        if b"\0" in body or len(body) > MOST - 10:
            raise ValueError("a command has no NUL byte and at most %d bytes" % (MOST - 10))
        self.stream.sendall(struct.pack("<iii", len(body) + 10, number, kind) + body + b"\0\0")

    def receive(self):
        (size,) = struct.unpack("<i", self.read(4))
        if not 10 <= size <= MOST + 10:
            raise ConnectionError("a packet of %d bytes: this is no RCON" % size)
        packet = self.read(size)
        number, kind = struct.unpack("<ii", packet[:8])
        return number, kind, packet[8:-2].decode(errors="replace")

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.stream.recv(size - len(data))
            if not more:
                raise ConnectionError("the server hung up")
            data += more
        return data


def main():
    port, password_file, command = sys.argv[1:]
    with open(password_file) as f:
        password = f.read().rstrip("\n")
    call = json.load(sys.stdin)
    each = "{client}" in command or "{ip}" in command
    backends = {}
    for left in call["left"] or []:
        values = {"version": call["to"]["version"], "deadline": call.get("deadline", "")}
        if each:
            values.update(client=left["client"], ip=left["client"].rsplit(":", 1)[0].strip("[]"))
        said = command
        for name, value in values.items():
            said = said.replace("{%s}" % name, value)
        backends.setdefault(left["backend"], {})[said] = True
    failed = 0
    for host, commands in backends.items():
        try:
            server = RCON(host, int(port), password)
            for said in commands:
                print("%s: %s" % (host, server.run(said).strip()))
        except (OSError, ValueError) as e:
            print("%s: %s" % (host, e), file=sys.stderr)
            failed = 1
    return failed


sys.exit(main())
