# Datagrams of a telephone call: 50 a second, 160 bytes, each with its number and the time at which it left.
#
#   call.py send ADDRESS NUMBER SECONDS            prints how many were sent, a second after the last
#   call.py receive ADDRESS NUMBER SETTLE_SECONDS  until stdin ends; prints what came, and how late, the first seconds aside
#
# Both ends read one machine's monotonic clock. Jitter is that of RFC 3550, section 6.4.1.
import json
import select
import socket
import struct
import sys
import time

MAGIC = 0x63616C6C
EVERY_S = 0.02
SIZE = 160


def send(address, number, seconds):
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    began = time.monotonic()
    count = round(seconds / EVERY_S)
    for index in range(count):
        time.sleep(max(0.0, began + index * EVERY_S - time.monotonic()))
        head = struct.pack('!IIQ', MAGIC, index, time.monotonic_ns())
        sender.sendto(head.ljust(SIZE, b'\0'), (address, number))
    time.sleep(1)
    print(json.dumps({'sent': count}))


def receive(address, number, settle_seconds):
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind((address, number))
    print(json.dumps({'listening': number}), flush=True)
    late_ms = {}
    doubled = 0
    jitter_ms = 0.0
    before_ms = None
    while True:
        ready, _, _ = select.select([receiver, sys.stdin], [], [])
        if receiver not in ready:
            break
        datagram = receiver.recv(65536)
        now = time.monotonic_ns()
        if len(datagram) != SIZE:
            continue
        magic, index, left = struct.unpack('!IIQ', datagram[:16])
        if magic != MAGIC:
            continue
        doubled += index in late_ms
        took_ms = (now - left) / 1e6
        late_ms[index] = took_ms
        if before_ms is not None and index * EVERY_S >= settle_seconds:
            jitter_ms += (abs(took_ms - before_ms) - jitter_ms) / 16
        before_ms = took_ms
    counted = sorted(ms for index, ms in late_ms.items() if index * EVERY_S >= settle_seconds)
    at = lambda share: counted[min(len(counted) - 1, int(len(counted) * share))] if counted else None
    print(json.dumps({
        'received': len(late_ms),
        'doubled': doubled,
        'p50Ms': at(0.5),
        'p99Ms': at(0.99),
        'jitterMs': jitter_ms,
    }))


if sys.argv[1] == 'send':
    send(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
else:
    receive(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
