#!/usr/bin/python3
"""Receives ebbtide's webhooks: checks who sent them and when, and takes each key once.

    receive.py PORT SECRET_FILE
"""

import hashlib
import hmac
import http.server
import json
import sys
import time

MOST_SECONDS = 300  # how old a call may be, and by how much clocks may differ
MOST_BYTES = 16 << 20

with open(sys.argv[2], "rb") as f:
    SECRET = f.read().rstrip(b"\r\n")
seen = set()  # keep it where it survives, if acting twice does harm


def is_genuine(headers, body, now):
    stamp = headers.get("Ebbtide-Timestamp", "")
    want = "sha256=" + hmac.new(SECRET, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(want.encode(), headers.get("Ebbtide-Signature", "").encode()):
        return False
    return abs(now - int(stamp)) <= MOST_SECONDS


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        size = int(self.headers.get("Content-Length", -1))
        if not 0 <= size <= MOST_BYTES:
            return self.send_error(413)
        body = self.rfile.read(size)
        if not is_genuine(self.headers, body, time.time()):
            return self.send_error(403)
        call = json.loads(body)
        if call["key"] not in seen:
            seen.add(call["key"])
            print(call["service"], call["transition"], len(call["left"] or []), flush=True)
        self.send_response(204)
        self.end_headers()


server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("listening on port", server.server_port, flush=True)
server.serve_forever()
