"""A ZooKeeper client on a bare socket, as small as the checks allow: it does nothing by itself, no ping, no
reconnect, so that the server's counters show exactly what a check sent."""

import contextlib
import socket
import struct

DEADLINE_S = 20

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL, GET_CHILDREN = range(1, 9)
SYNC, PING, GET_CHILDREN2, CHECK, MULTI, CREATE2 = 9, 11, 12, 13, 14, 15
CHECK_WATCHES, REMOVE_WATCHES, CREATE_CONTAINER = 17, 18, 19
MULTI_READ, SET_WATCHES, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER, SET_WATCHES2 = 22, 101, 103, 104, 105
ADD_WATCH, WHO_AM_I, CLOSE = 106, 107, -11

PING_XID, EVENT_XID = -2, -1


class Text(bytes):
    """Bytes of a request body."""

    def int(self, value):
        return Text(self + struct.pack(">i", value))

    def long(self, value):
        return Text(self + struct.pack(">q", value))

    def bool(self, value):
        return Text(self + struct.pack(">?", value))

    def buffer(self, value):
        return Text(self.int(len(value)) + value)

    def str(self, value):
        return self.buffer(value.encode())

    def world(self):
        """An ACL that allows everybody everything."""
        return self.int(1).int(31).str("world").str("anyone")


BODY = Text()


def create_body(path, data=b"", flags=0):
    return BODY.str(path).buffer(data).world().int(flags)


class Session:
    """One connection with a session. `exchange` sends one request and waits for its reply."""

    def __init__(self, port, timeout_ms=10000, session=0, password=b"\0" * 16):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self.address = "/127.0.0.1:%d" % self.socket.getsockname()[1]
        self.xid = 0
        self.events = 0
        hello = BODY.int(0).long(0).int(timeout_ms).long(session).buffer(password).bool(False)
        self._send(hello)
        reply = self._receive()
        _, self.timeout_ms, self.id = struct.unpack(">iiq", reply[:16])
        self.password = reply[20:36]

    def exchange(self, op, body=b"", xid=None):
        """The error code and the body of the reply; events before it are counted."""
        if xid is None:
            self.xid += 1
            xid = self.xid
        self._send(struct.pack(">ii", xid, op) + body)
        while True:
            reply = self._receive()
            got, _, err = struct.unpack(">iqi", reply[:16])
            if got == EVENT_XID:
                self.events += 1
                continue
            assert got == xid, "reply to %d where one to %d was due" % (got, xid)
            return err, reply[16:]

    def do(self, op, body=b"", xid=None):
        err, reply = self.exchange(op, body, xid)
        assert err == 0, "operation %d failed with %d" % (op, err)
        return reply

    def ping(self):
        return self.exchange(PING, xid=PING_XID)

    def create(self, path, data=b"", flags=0):
        return self.do(CREATE, create_body(path, data, flags))

    def watch(self, path, mode):
        return self.do(ADD_WATCH, BODY.str(path).int(mode))

    def await_events(self, count):
        while self.events < count:
            xid, = struct.unpack(">i", self._receive()[:4])
            assert xid == EVENT_XID, "a reply to %d where an event was due" % xid
            self.events += 1

    def close(self):
        """Ends the session; returns when the server has closed the connection."""
        self.exchange(CLOSE)
        while self.socket.recv(4096):
            pass
        self.socket.close()

    def drop(self):
        """Ends the connection, not the session."""
        self.socket.close()

    def _send(self, frame):
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def _receive(self):
        length, = struct.unpack(">i", self._exactly(4))
        return self._exactly(length)

    def _exactly(self, count):
        parts = bytearray()
        while len(parts) < count:
            part = self.socket.recv(count - len(parts))
            if not part:
                raise EOFError("the server closed the connection")
            parts += part
        return bytes(parts)


def answer(port, word, rest=b"", half_close=False):
    """What a server answers to a four-letter word until it closes, as bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as probe:
        probe.sendall(word + rest)
        if half_close:
            # Java closes without reading what follows a word, which resets the connection: it may be over by now.
            with contextlib.suppress(OSError):
                probe.shutdown(socket.SHUT_WR)
        got = bytearray()
        while True:
            try:
                part = probe.recv(65536)
            except ConnectionResetError:
                return bytes(got)
            if not part:
                return bytes(got)
            got += part
