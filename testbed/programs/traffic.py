"""Streams whose every byte tells where it belongs, both ways, until told to stop. One JSON object a line on stdout.

    traffic.py accept  ADDRESS NUMBER                     takes whatever streams come
    traffic.py connect ADDRESS NUMBER ID:MANNER[:RATE[:BYTES]]...
    traffic.py pattern ID WAY FROM COUNT                  writes bytes of a stream to stdout
    traffic.py check   ID WAY                             reads a stream from stdin and says what is wrong with it

MANNER  both   both ends send                    up    only who connects sends; the other half is closed at once
        idle   nobody sends before the end       down  only who accepts sends, likewise
RATE    bytes a second of each end; 0 is as fast as it goes; 65536 when left out
BYTES   an end stops by itself after so many
WAY     up (from who connects) or down

Lines on stdin: `stop` lets this end say its last (idle streams send 1000 bytes now), end its halves and wait for the
other's; `totals NUMBER` says where every stream stands; `abort ID` resets a stream.

A stream's last line has what was sent and received, how each half ended (fin, ECONNRESET, ...), the longest time in which
nothing came, and what was wrong: `lost` (never came), `doubled` (came again), `reordered` (came late) or `garbled`
(belongs nowhere), each with its offset and size. Blocking sockets on purpose: the kernel then tells a FIN from a RST, and
gives what came before it.
"""

import errno
import json
import random
import socket
import struct
import sys
import threading
import time

CHUNK = 65536
IDLE_BYTES = 1000
TICK_S = 0.05
# Slow streams send less often instead of crumbs: two hundred of them would otherwise be work for a core.
LEAST_PIECE = 512
SEARCH_BYTES = 64 << 20
# So many bytes that fit nowhere else by chance.
PROBE = 16
# Of the kernel (include/net/tcp_states.h).
TCP_CLOSE = 7

stop = threading.Event()
lock = threading.Lock()


def say(**what):
    with lock:
        print(json.dumps(what), flush=True)


class Pattern:
    """Two random tables of coprime lengths, one over the other: nothing repeats within 4 GB, and each stream has its own."""

    LENGTHS = (65521, 65519)

    def __init__(self, stream, way):
        source = random.Random(f"{stream}/{way}")
        tables = [source.randbytes(length) for length in self.LENGTHS]
        # Long enough to cut a chunk from any place in one piece.
        self.tables = [table * 3 for table in tables]

    def at(self, offset, count):
        pieces = []
        while count > 0:
            size = min(count, CHUNK)
            one, other = (
                int.from_bytes(table[offset % length : offset % length + size], "little")
                for table, length in zip(self.tables, self.LENGTHS)
            )
            pieces.append((one ^ other).to_bytes(size, "little"))
            offset += size
            count -= size
        return b"".join(pieces)

    def find(self, probe, near):
        """Where these bytes belong, the nearest place first; None if nowhere."""
        for distance in range(0, SEARCH_BYTES, 1 << 20):
            for start in (near + distance, near - distance - (1 << 20)):
                size = (1 << 20) + len(probe) - 1
                if start < 0:
                    size += start
                    start = 0
                found = self.at(start, max(size, 0)).find(probe)
                if found >= 0:
                    return start + found
        return None


class Reader:
    """Takes the bytes of a stream in the order in which they come, and keeps account of those that are wrong."""

    def __init__(self, pattern):
        self.pattern = pattern
        self.received = 0
        self.faults = []
        self.offset = 0
        # What has come, as [from, to) ranges; needed only once something is wrong.
        self.ranges = [[0, 0]]
        self.unclear = b""

    def take(self, data):
        self.received += len(data)
        data = self.unclear + data
        self.unclear = b""
        while data:
            good = self.matching(data)
            self.advance(good)
            data = data[good:]
            if 0 < len(data) < PROBE:
                # Too little to tell where it belongs: the next bytes will help.
                self.unclear = data
                return
            if data:
                data = self.judge(data)

    def end(self):
        if self.unclear:
            self.fault("garbled", len(self.unclear))

    def matching(self, data):
        expected = self.pattern.at(self.offset, len(data))
        if expected == data:
            return len(data)
        return next(at for at, (one, other) in enumerate(zip(data, expected)) if one != other)

    def advance(self, count):
        self.offset += count
        self.ranges[-1][1] = self.offset

    def fault(self, kind, size, at=None):
        self.faults.append({"kind": kind, "at": self.offset if at is None else at, "bytes": size})

    def judge(self, data):
        place = self.pattern.find(data[:PROBE], self.offset)
        if place is None:
            return self.skip_garbled(data)
        self.jump(place)
        return data

    def skip_garbled(self, data):
        expected = self.pattern.at(self.offset, len(data))
        size = 1
        while size < len(data) and data[size : size + PROBE] != expected[size : size + PROBE]:
            size += 1
        self.fault("garbled", size)
        self.advance(size)
        return data[size:]

    def jump(self, place):
        late = next((one for one in self.faults if one["kind"] == "lost" and one["at"] == place), None)
        if late:
            late["kind"] = "reordered"
        elif place < self.offset:
            self.fault("doubled", self.offset - place, place)
        else:
            missing = self.missing(self.offset, place)
            if missing:
                self.fault("lost", missing)
        self.offset = place
        self.ranges.append([place, place])

    def missing(self, start, end):
        """How many bytes of a range have not come."""
        for one, other in sorted(self.ranges):
            if one <= start < other:
                start = other
        return max(0, end - start)


class Stream:
    def __init__(self, connection, way, ident, manner, rate, limit, rest=b""):
        self.connection = connection
        self.ident = ident
        self.manner = manner
        self.rate = rate
        self.limit = limit
        self.way = way
        self.sends = Pattern(ident, way)
        self.reader = Reader(Pattern(ident, "down" if way == "up" else "up"))
        self.sent = 0
        self.send_end = None
        self.receive_end = None
        self.heard_at = time.monotonic()
        self.longest_gap = 0
        self.rest = rest
        self.aborted = False
        self.finishing = False

    def state(self):
        return {
            "stream": self.ident,
            "manner": self.manner,
            "sent": self.sent,
            "received": self.reader.received,
            "sendEnd": self.send_end,
            "receiveEnd": self.receive_end,
            "longestGapMs": round(1000 * self.longest_gap),
            "faults": self.reader.faults,
        }

    def run(self):
        sender = threading.Thread(target=self.send, daemon=True)
        sender.start()
        self.receive()
        say(stream=self.ident, receiveEnd=self.receive_end)
        sender.join()
        self.connection.close()
        say(ended=True, **self.state())

    def abort(self):
        self.aborted = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Wakes the one that reads; the sender looks for itself, and the last close() sends the RST.
        self.connection.shutdown(socket.SHUT_RD)

    def receive(self):
        try:
            data = self.rest
            while True:
                self.heard(data)
                data = self.connection.recv(CHUNK)
                if not data:
                    break
            self.receive_end = "aborted" if self.aborted else self.end_of_file()
        except OSError as error:
            self.receive_end = name_of(error)
        self.reader.end()

    def end_of_file(self):
        """The kernel tells of a RST once. When the sender was told, the reader gets an end of file: its state tells the two apart."""
        state = self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return "ECONNRESET" if state == TCP_CLOSE and not self.finishing else "fin"

    def heard(self, data):
        now = time.monotonic()
        self.longest_gap = max(self.longest_gap, now - self.heard_at)
        self.heard_at = now
        self.reader.take(data)

    def send(self):
        try:
            if self.manner in ("both", self.way):
                self.send_on()
            elif self.manner == "idle":
                stop.wait()
                self.put(IDLE_BYTES)
            if self.aborted:
                self.send_end = "aborted"
                return
            self.finishing = True
            self.connection.shutdown(socket.SHUT_WR)
            self.send_end = "fin"
        except OSError as error:
            self.send_end = name_of(error)

    def send_on(self):
        tick = TICK_S if self.rate == 0 else max(TICK_S, min(0.25, LEAST_PIECE / self.rate))
        piece = CHUNK if self.rate == 0 else max(1, int(self.rate * tick))
        next_at = time.monotonic()
        while not stop.is_set() and not self.aborted and (self.limit is None or self.sent < self.limit):
            self.put(piece if self.limit is None else min(piece, self.limit - self.sent))
            if self.rate == 0:
                continue
            # What the path held up is not made up for.
            next_at = max(next_at + tick, time.monotonic() - tick)
            stop.wait(max(0, next_at - time.monotonic()))

    def put(self, count):
        data = memoryview(self.sends.at(self.sent, count))
        while data:
            taken = self.connection.send(data)
            self.sent += taken
            data = data[taken:]


def name_of(error):
    return errno.errorcode.get(error.errno, str(error))


streams = []


def run(stream):
    streams.append(stream)
    stream.run()


def start(stream):
    thread = threading.Thread(target=run, args=(stream,))
    thread.start()
    return thread


def accepted(connection):
    """The first line names the stream; what follows it already belongs to it."""
    head = b""
    try:
        while b"\n" not in head:
            data = connection.recv(CHUNK)
            if not data:
                return say(refused="no name")
            head += data
    except OSError as error:
        return say(refused=name_of(error))
    line, _, rest = head.partition(b"\n")
    ident, manner, rate, limit = json.loads(line)
    say(stream=ident, accepted=True)
    run(Stream(connection, "down", ident, manner, rate, limit, rest))


def accept(address, number):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, int(number)), family=family, backlog=64) as server:
        say(listening=server.getsockname()[1])
        while True:
            connection, _ = server.accept()
            threading.Thread(target=accepted, args=(connection,), daemon=True).start()


def connect(address, number, spec):
    ident, manner, rate, limit, *_ = spec.split(":") + [None] * 3
    ident = int(ident)
    rate = 65536 if rate is None else int(rate)
    limit = None if limit is None else int(limit)
    try:
        connection = socket.create_connection((address, int(number)))
        connection.sendall(json.dumps([ident, manner, rate, limit]).encode() + b"\n")
    except OSError as error:
        return say(stream=ident, refused=name_of(error))
    say(stream=ident, connected=True)
    return start(Stream(connection, "up", ident, manner, rate, limit))


def listen_to_orders():
    for line in sys.stdin:
        if line.strip() == "stop":
            stop.set()
        elif line.startswith("totals "):
            say(number=int(line.split()[1]), totals=[stream.state() for stream in streams])
        elif line.startswith("abort "):
            next(stream for stream in streams if stream.ident == int(line.split()[1])).abort()


def check(ident, way):
    reader = Reader(Pattern(ident, way))
    while data := sys.stdin.buffer.read(CHUNK):
        reader.take(data)
    reader.end()
    say(received=reader.received, faults=reader.faults)


def main(verb, *words):
    if verb == "pattern":
        ident, way, start_at, count = words
        return sys.stdout.buffer.write(Pattern(int(ident), way).at(int(start_at), int(count)))
    if verb == "check":
        return check(int(words[0]), words[1])
    threading.Thread(target=listen_to_orders, daemon=True).start()
    if verb == "accept":
        return accept(*words)
    address, number, *specs = words
    for thread in [connect(address, number, spec) for spec in specs]:
        if thread:
            thread.join()


main(*sys.argv[1:])
