"""Sends Ethernet frames, given in hexadecimal on standard input, one a line.

    send-frames.py INTERFACE [PAUSE_US]       a pause between frames, for a steady stream
"""

import socket
import sys
import time

link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((sys.argv[1], 0))
pause = int(sys.argv[2]) / 1e6 if len(sys.argv) > 2 else 0
for line in sys.stdin:
    link.send(bytes.fromhex(line))
    if pause:
        time.sleep(pause)
