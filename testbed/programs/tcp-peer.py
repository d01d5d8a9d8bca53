"""One end of a TCP connection that does what it is told and says what it sees, one JSON object a line.

    tcp-peer.py connect ADDRESS NUMBER STEP...
    tcp-peer.py listen  ADDRESS NUMBER STEP...       the same for each connection that comes

Steps: send=N   sends N bytes               read=N   reads until N bytes have come in all
       fin      ends this end's half        drain    reads to the end, and says how it ended
       rst      aborts: a real RST          go       waits for a line on standard input
       close    closes

Blocking sockets on purpose: the kernel gives what came before a RST, and then the error. Node 20 does not always.
"""

import json
import socket
import struct
import sys
import threading


def say(**what):
    print(json.dumps(what), flush=True)


ROUND = bytes(range(251))


def pattern(start, count):
    """Bytes that tell where in the stream they stand."""
    first = start % len(ROUND)
    return (ROUND * (count // len(ROUND) + 2))[first : first + count]


class Peer:
    def __init__(self, connection):
        self.connection = connection
        self.sent = 0
        self.received = 0
        self.intact = True

    def take(self, limit):
        data = self.connection.recv(limit)
        if data != pattern(self.received, len(data)):
            self.intact = False
        self.received += len(data)
        return data

    def send(self, count):
        self.connection.sendall(pattern(self.sent, count))
        self.sent += count
        say(did="send", bytes=count)

    def read(self, count):
        while self.received < count:
            if not self.take(min(65536, count - self.received)):
                break
        say(did="read", bytes=self.received, intact=self.intact)

    def drain(self):
        while self.take(65536):
            pass
        say(saw="fin", bytes=self.received, intact=self.intact)

    def fin(self):
        self.connection.shutdown(socket.SHUT_WR)
        say(did="fin")

    def rst(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        say(did="rst")

    def close(self):
        self.connection.close()
        say(did="close")

    def go(self):
        say(waits="go")
        sys.stdin.readline()

    def run(self, steps):
        try:
            for step in steps:
                name, _, count = step.partition("=")
                getattr(self, name)(*([int(count)] if count else []))
        except OSError as error:
            name = {104: "ECONNRESET", 32: "EPIPE", 110: "ETIMEDOUT"}.get(error.errno, str(error))
            say(saw=name, bytes=self.received, intact=self.intact)


def main(manner, address, number, *steps):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if manner == "connect":
        connection = socket.socket(family)
        connection.connect((address, int(number)))
        say(did="connect")
        return Peer(connection).run(steps)
    with socket.create_server((address, int(number)), family=family) as server:
        say(did="listen")
        while True:
            connection, peer = server.accept()
            say(did="accept", peer=peer[0])
            threading.Thread(target=Peer(connection).run, args=(steps,), daemon=True).start()


main(*sys.argv[1:])
