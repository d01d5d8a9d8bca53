# Watches the RTP of an interface: rtp-tap.py INTERFACE. When stdin ends it prints a JSON line for each flow: where from and
# to, how many packets, which are missing between the first and the last, counted from the first, how many came late or twice,
# and the SHA-256 of the audio in the order in which it came.
import hashlib
import json
import select
import socket
import struct
import sys

PACKET_OUTGOING = 4
ETH_P_IP = 0x0800
# Only who wants all of them sees those that go out.
ETH_P_ALL = 0x0003
# Header and 20 ms of PCMU.
RTP_BYTES = 172


class Flow:
    def __init__(self):
        self.numbers = []
        self.audio = hashlib.sha256()

    def add(self, rtp):
        self.numbers.append(struct.unpack('!H', rtp[2:4])[0])
        self.audio.update(rtp[12:])

    def told(self):
        numbers = self.numbers
        first = numbers[0]
        come = {(one - first) % 65536 for one in numbers}
        return {
            'packets': len(numbers),
            'missing': [one for one in range((numbers[-1] - first) % 65536) if one not in come],
            'disordered': sum(1 for one, next in zip(numbers, numbers[1:]) if (next - one) % 65536 > 32768 or next == one),
            'audio': self.audio.hexdigest(),
        }


def udp_of(packet):
    if packet[9] != socket.IPPROTO_UDP:
        return None
    at = (packet[0] & 15) * 4
    source, target, length = struct.unpack('!HHH', packet[at:at + 6])
    ends = [f'{socket.inet_ntoa(packet[12:16])}:{source}', f'{socket.inet_ntoa(packet[16:20])}:{target}']
    return ends, packet[at + 8:at + length]


def main():
    interface = sys.argv[1]
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    tap.bind((interface, ETH_P_ALL))
    flows = {}
    print(json.dumps({'watching': interface}), flush=True)
    while True:
        ready, _, _ = select.select([tap, sys.stdin], [], [])
        if sys.stdin in ready:
            break
        packet, where = tap.recvfrom(65535)
        # What a loopback interface carries is seen going out and coming in.
        if where[1] != ETH_P_IP or (interface == 'lo' and where[2] == PACKET_OUTGOING):
            continue
        found = udp_of(packet)
        # Version 2, no padding, no extension, no sources; PCMU.
        if found is None or len(found[1]) < 12 or found[1][0] != 0x80 or found[1][1] & 0x7f != 0:
            continue
        ends, payload = found
        # Datagrams that were sent as one (UDP_SEGMENT) have not been cut up here.
        for at in range(0, len(payload), RTP_BYTES):
            flows.setdefault(tuple(ends), Flow()).add(payload[at:at + RTP_BYTES])
    for (source, target), flow in flows.items():
        print(json.dumps({'from': source, 'to': target, **flow.told()}), flush=True)


main()
