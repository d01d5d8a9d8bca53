"""Asks a UDP echo service: udp-ask.py ADDRESS NUMBER SIZE...

Sends a datagram of each size and waits for the same one back, twice again when none comes in a second: datagrams may be
lost. Says one JSON object a line. Ends with 1 when one never came back, or not as it was sent.
"""

import json
import os
import socket
import sys
import time

address, number, *sizes = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
asker = socket.socket(family, socket.SOCK_DGRAM)
asker.settimeout(1)
asker.connect((address, int(number)))
good = True
for size in map(int, sizes):
    question = os.urandom(size)
    answer, tries, start = None, 0, time.monotonic()
    while answer != question and tries < 3:
        tries += 1
        asker.send(question)
        try:
            answer = asker.recv(65536)
        except OSError as error:
            answer = None
            print(json.dumps({"size": size, "failed": str(error)}), flush=True)
    milliseconds = round((time.monotonic() - start) * 1000)
    good = good and answer == question
    print(json.dumps({"size": size, "back": answer == question, "tries": tries, "ms": milliseconds}), flush=True)
sys.exit(0 if good else 1)
