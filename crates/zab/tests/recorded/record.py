#!/usr/bin/env python3
"""Records what an ensemble of Java servers says on loopback, into the .txt files of this folder.

Three voters and an observer; everything that passes their quorum and election ports is read from the
loopback device, which needs the rights of root. A line of a file is `> HEX` for bytes of the one who
connected, and `< HEX` for those of the other one, in the order in which they passed.

    interop/oracle/install; sudo crates/zab/tests/recorded/record.py
"""
import os
import pathlib
import socket
import struct
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parents[3]
LIB = pathlib.Path(os.environ.get("INTEROP_OUT", REPO / "target/interop")) / "oracle/lib"
JAVA = ["java", "-Xmx256m", "-Dzookeeper.admin.enableServer=false",
        "-Dzookeeper.skipACL=yes", "-cp", f"{LIB}:{LIB}/*"]
SIDS = (1, 2, 3, 4)
ROUNDS = 3  # of pings, before a conversation is taken for complete


def free_ports(count):
    """The first of so many ports in a row that nobody uses."""
    for base in range(24000, 30000, count):
        try:
            for port in range(base, base + count):
                socket.create_server(("127.0.0.1", port)).close()
            return base
        except OSError:
            continue
    raise SystemExit("no free ports")


class Wire:
    """Reads TCP between ports of a range."""

    def __init__(self, first, last):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.ntohs(0x0800))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        program = [  # source or destination port within the range
            (0xB1, 0, 0, 0), (0x48, 0, 0, 0), (0x35, 0, 1, first), (0x25, 0, 3, last),
            (0x48, 0, 0, 2), (0x35, 0, 2, first), (0x25, 1, 0, last),
            (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0),
        ]
        code = b"".join(struct.pack("HBBI", *step) for step in program)
        import ctypes
        self.code = ctypes.create_string_buffer(code)
        fprog = struct.pack("HL", len(program), ctypes.addressof(self.code))
        self.socket.setsockopt(socket.SOL_SOCKET, 26, fprog)  # SO_ATTACH_FILTER
        self.socket.bind(("lo", 0))
        self.talks = []  # (port that was connected to, [(direction, bytes)])
        self.open = {}  # (source, destination) -> [talk, direction, next sequence number]
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            packet, address = self.socket.recvfrom(1 << 17)
            if address[2] != 4 and packet[9] == 6:  # not that it is sent, and TCP
                self.segment(packet[: struct.unpack(">H", packet[2:4])[0]])

    def segment(self, packet):
        tcp = packet[(packet[0] & 15) * 4:]
        source, target, number = struct.unpack(">HHI", tcp[:8])
        flags, data = tcp[13], tcp[(tcp[12] >> 4) * 4:]
        if flags & 2:  # SYN
            if not flags & 16:
                talk = []
                self.talks.append((target, talk))
                self.open[source, target] = [talk, ">", number + 1]
            elif (target, source) in self.open:
                self.open[source, target] = [self.open[target, source][0], "<", number + 1]
            return
        side = self.open.get((source, target))
        if side is None or not data:
            return
        talk, direction, expected = side
        new = (number + len(data) - expected) & 0xFFFFFFFF
        if new == 0 or new > len(data):
            return
        side[2] = (number + len(data)) & 0xFFFFFFFF
        data = data[len(data) - new:]
        if talk and talk[-1][0] == direction:
            data = talk.pop()[1] + data
        talk.append((direction, data))

    def last_to(self, port, opening=b""):
        """The last conversation with a port whose first bytes are these."""
        found = [talk for target, talk in self.talks
                 if target == port and talk and talk[0][1].startswith(opening)]
        return found[-1]


def string(text):
    return struct.pack(">i", len(text)) + text.encode()


OPEN = struct.pack(">i", 1) + struct.pack(">i", 31) + string("world") + string("anyone")


class Client:
    """A session, by hand."""

    def __init__(self, port, session=0, password=bytes(16)):
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.xid = 0
        self.send(struct.pack(">iqiq", 0, 0, 30000, session) + struct.pack(">i", 16) + password
                  + b"\0")
        reply = self.receive()
        self.session = struct.unpack(">q", reply[8:16])[0]
        self.password = reply[20:36]
        assert self.session, "no session"

    def send(self, body):
        self.socket.sendall(struct.pack(">i", len(body)) + body)

    def receive(self):
        def exactly(n):
            data = b""
            while len(data) < n:
                part = self.socket.recv(n - len(data))
                assert part, "closed"
                data += part
            return data
        return exactly(struct.unpack(">i", exactly(4))[0])

    def ask(self, kind, body, wait=True):
        self.xid += 1
        self.send(struct.pack(">ii", self.xid, kind) + body)
        return struct.unpack(">i", self.receive()[12:16])[0] if wait else None

    def create(self, path, flags=0, wait=True):
        body = string(path) + string("data") + OPEN + struct.pack(">i", flags)
        return self.ask(1, body, wait)

    def set(self, path, data):
        return self.ask(5, string(path) + string(data) + struct.pack(">i", -1))

    def sync(self, path):
        return self.ask(9, string(path))

    def leave(self, sid):
        nothing = struct.pack(">i", -1)
        return self.ask(16, nothing + string(str(sid)) + nothing + struct.pack(">q", -1))


def srvr(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as s:
            s.sendall(b"srvr")
            return s.makefile("rb").read().decode()
    except OSError:
        return ""


def wait_for(port, word):
    deadline = time.monotonic() + 90
    while word not in srvr(port):
        assert time.monotonic() < deadline, f"no {word} on port {port}"
        time.sleep(0.1)


def wait(what, holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def save(name, talk):
    lines = [f"{direction} {data.hex()}" for direction, data in talk]
    (HERE / f"{name}.txt").write_text("\n".join(lines) + "\n")
    print(name, sum(len(data) for _, data in talk), "bytes")


def main():
    base = free_ports(12)
    quorum = {sid: base + 3 * n for n, sid in enumerate(SIDS)}
    election = {sid: port + 1 for sid, port in quorum.items()}
    client = {sid: port + 2 for sid, port in quorum.items()}
    wire = Wire(base, base + 11)
    running = {}
    with tempfile.TemporaryDirectory() as root:
        def start(own):
            data = pathlib.Path(root, str(own))
            config = data / "zoo.cfg"
            if not data.exists():
                data.mkdir()
                (data / "myid").write_text(str(own))
                lines = ["tickTime=1000", "initLimit=20", "syncLimit=10", f"dataDir={data}",
                         "4lw.commands.whitelist=*", "reconfigEnabled=true",
                         "standaloneEnabled=false"]
                for sid in SIDS:
                    role = "observer" if sid == 4 else "participant"
                    lines.append(f"server.{sid}=127.0.0.1:{quorum[sid]}:{election[sid]}:{role}"
                                 f";127.0.0.1:{client[sid]}")
                if own == 4:
                    lines.append("peerType=observer")
                config.write_text("\n".join(lines) + "\n")
            main_class = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
            log = open(data / "log", "a")
            running[own] = subprocess.Popen([*JAVA, main_class, config], stdout=log, stderr=log)

        def kill(sid):
            running[sid].kill()
            running.pop(sid).wait()

        def pings(sid, leader):
            """Waits for pings behind what has passed."""
            talk = conversation(sid, leader)
            ping = struct.pack(">i", 5)
            for _ in range(ROUNDS):
                before = len(talk)
                wait("a ping", lambda: any(data.startswith(ping) and direction == "<"
                                           for direction, data in talk[before:]))

        def conversation(sid, leader):
            kind = 16 if sid == 4 else 11
            found = [talk for target, talk in wire.talks
                     if target == quorum[leader] and talk
                     and talk[0][1].startswith(struct.pack(">i", kind))
                     and talk[0][1][16:24] == struct.pack(">q", sid)]
            return found[-1]

        def keep(name, sid, leader):
            pings(sid, leader)
            save(name, conversation(sid, leader))

        try:
            start(1)
            start(2)
            wait_for(client[1], "follower")
            wait_for(client[2], "leader")
            one = Client(client[1])
            one.create("/a")
            one.set("/a", "world")
            one.create("/a")  # refused, and a transaction all the same
            one.sync("/a")
            two = Client(client[1])
            two.create("/e", flags=1)
            start(4)
            wait_for(client[4], "observer")
            start(3)
            wait_for(client[3], "follower")
            # A session moves from 1 to 3: a revalidation.
            two.socket.close()
            two = Client(client[3], two.session, two.password)
            two.set("/e", "moved")
            two.sync("/e")
            for _ in range(3):
                one.create("/s", flags=2)
            assert one.leave(4) == 0
            one.set("/a", "behind the change")
            keep("empty-diff", 1, 2)
            keep("snap", 3, 2)
            save("observer", conversation(4, 2))  # which is over: it is no member any more
            kill(4)
            kill(3)
            one.set("/a", "not seen by 3")
            one.create("/t")
            one.set("/t", "neither")
            start(3)
            wait_for(client[3], "follower")
            one.set("/t", "seen by 3")
            keep("diff", 3, 2)
            # Nobody acknowledges this; 2 has it in its log.
            three = Client(client[2])
            kill(1)
            kill(3)
            three.create("/lost", wait=False)
            three.create("/lost2", wait=False)
            time.sleep(0.5)
            kill(2)
            start(1)
            start(3)
            wait_for(client[3], "leader")
            wait_for(client[1], "follower")
            start(2)  # before there is a transaction of the new epoch: else it would get a snapshot
            wait_for(client[2], "follower")
            four = Client(client[1])
            four.create("/u")
            keep("trunc", 2, 3)
            votes = [(target, talk) for target, talk in wire.talks
                     if target in election.values() and len(talk) > 3]
            for n, (_, talk) in enumerate(votes[:4]):
                save(f"election-{n + 1}", talk)
        finally:
            for process in running.values():
                process.kill()
                process.wait()


main()
