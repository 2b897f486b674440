"""Asks for `_uscan._tcp` on an interface in each way that RFC 6762 knows: `mdnsquestions.py INTERFACE [ADDRESS…]`.

By multicast from port 5353 (QM), for a unicast answer (QU) and from another port (legacy), and by unicast to each
address. Prints a line for each answer: the way, the version of IP, and the answer's sender.
"""

import select
import socket
import struct
import sys
import time

GROUPS = {4: "224.0.0.251", 6: "ff02::fb"}
QUESTION = b"\x06_uscan\x04_tcp\x05local\0\0\x0c"
SECONDS = 1.5  # a responder may wait for half a second


def opened(version, port, index):
    made = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if version == 4:
        where = struct.pack("@4s4si", socket.inet_aton(GROUPS[4]), bytes(4), index)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, where)
        made.bind(("", port))
        if port:
            made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, where)
    else:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        made.bind(("::", port))
        if port:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                            socket.inet_pton(socket.AF_INET6, GROUPS[6]) + struct.pack("@I", index))
    return made


def answers(asking):
    end = time.monotonic() + SECONDS
    while select.select([asking], [], [], max(0.0, end - time.monotonic()))[0]:
        data, sender = asking.recvfrom(9000)
        if data[2] & 0x80 and b"_uscan" in data:
            yield sender[0]


def main(interface, *addresses):
    index = socket.if_nametoindex(interface)
    ways = [(way, version, GROUPS[version], port, unicast) for version in GROUPS
            for way, port, unicast in (("QM", 5353, 0), ("QU", 5353, 0x8000), ("legacy", 0, 0))]
    ways += [(way, 6 if ":" in address else 4, address, port, 0) for address in addresses
             for way, port in (("direct", 5353), ("direct-legacy", 0))]
    for way, version, to, port, unicast in ways:
        with opened(version, port, index) as asking:
            target = (to, 5353) if version == 4 else (to, 5353, 0, index)
            asking.sendto(struct.pack("!6H", 7, 0, 1, 0, 0, 0) + QUESTION + struct.pack("!H", unicast | 1), target)
            for sender in answers(asking):
                print(way, version, sender, flush=True)
    print("end")


if __name__ == "__main__":
    main(*sys.argv[1:])
