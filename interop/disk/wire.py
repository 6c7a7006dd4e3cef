"""The client protocol, as far as this suite speaks it: requests may be sent before replies are read, and nothing is
retried or hidden."""

import socket
import struct
import threading

CREATE, DELETE, EXISTS, GET, SET, GET_ACL, SET_ACL, SYNC = 1, 2, 3, 4, 5, 6, 7, 9
PING, CHILDREN, CHECK, MULTI, CREATE2, CONTAINER, TTL = 11, 12, 13, 14, 15, 19, 21
AUTH, CLOSE = 100, -11

PERSISTENT, EPHEMERAL, SEQUENTIAL, EPHEMERAL_SEQUENTIAL, AS_CONTAINER, WITH_TTL = 0, 1, 2, 3, 4, 5

OPEN = [(31, "world", "anyone")]

STAT = struct.Struct(">qqqqiiiqiiq")
STAT_FIELDS = ("czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion", "ephemeralOwner", "dataLength",
               "numChildren", "pzxid")


def buffer(data):
    if data is None:
        return struct.pack(">i", -1)
    if isinstance(data, str):
        data = data.encode()
    return struct.pack(">i", len(data)) + data


def acl_list(acl):
    return struct.pack(">i", len(acl)) + b"".join(
        struct.pack(">i", perms) + buffer(scheme) + buffer(name) for perms, scheme, name in acl)


def create(path, data=b"", acl=OPEN, flags=PERSISTENT):
    return buffer(path) + buffer(data) + acl_list(acl) + struct.pack(">i", flags)


def create_ttl(path, data, acl, ttl_ms):
    return create(path, data, acl, WITH_TTL) + struct.pack(">q", ttl_ms)


def versioned(path, version=-1):
    return buffer(path) + struct.pack(">i", version)


def set_data(path, data, version=-1):
    return buffer(path) + buffer(data) + struct.pack(">i", version)


def set_acl(path, acl, version=-1):
    return buffer(path) + acl_list(acl) + struct.pack(">i", version)


def reading(path):
    return buffer(path) + b"\0"


def multi(parts):
    head = struct.Struct(">i?i")
    return b"".join(head.pack(op, False, -1) + body for op, body in parts) + head.pack(-1, True, -1)


class Gone(Exception):
    """The server closed the connection, or did not take it."""


class Refused(Exception):
    """The server answered with an error code."""

    def __init__(self, code):
        super().__init__("error %d" % code)
        self.code = code


class Reply:
    """One answer: its zxid, its error code, a cursor in its body."""

    def __init__(self, frame):
        self.xid, self.zxid, self.code = struct.unpack_from(">iqi", frame)
        self._rest = memoryview(frame)[16:]

    def take(self, count):
        taken, self._rest = bytes(self._rest[:count]), self._rest[count:]
        return taken

    def int(self):
        return struct.unpack(">i", self.take(4))[0]

    def buffer(self):
        length = self.int()
        return None if length < 0 else self.take(length)

    def text(self):
        return self.buffer().decode()

    def stat(self):
        return STAT.unpack(self.take(STAT.size))

    def acl(self):
        return [(self.int(), self.text(), self.text()) for _ in range(self.int())]

    def names(self):
        return [self.text() for _ in range(self.int())]


class Client:
    """One session on one connection."""

    def __init__(self, port, timeout_ms=600_000, session=(0, bytes(16)), patience_s=30, read_only=False):
        self._lock = threading.Lock()
        self._xid = 0
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=patience_s)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._from = self.socket.makefile("rb")
            hello = struct.pack(">iqiq", 0, 0, timeout_ms, session[0]) + buffer(session[1]) + (b"\1" if read_only else b"\0")
            self.socket.sendall(buffer(hello))
            frame = self._frame()
        except OSError as error:
            raise Gone(str(error)) from error
        _, self.timeout_ms, self.id = struct.unpack_from(">iiq", frame)
        self.password = frame[20:36]
        self.is_read_only = frame[36:] == b"\1"

    def _frame(self):
        head = self._from.read(4)
        if len(head) < 4:
            raise Gone("closed")
        length = struct.unpack(">i", head)[0]
        frame = self._from.read(length)
        if len(frame) < length:
            raise Gone("closed in the middle of a frame")
        return frame

    def send(self, op, body=b"", xid=None):
        if xid is None:
            self._xid += 1
            xid = self._xid
        try:
            self.socket.sendall(buffer(struct.pack(">ii", xid, op) + body))
        except OSError as error:
            raise Gone(str(error)) from error

    def receive(self):
        try:
            return Reply(self._frame())
        except OSError as error:
            raise Gone(str(error)) from error

    def call(self, op, body=b"", xid=None):
        """Sends a request and returns its reply; an error code is raised."""
        self.send(op, body, xid)
        reply = self.receive()
        if reply.code != 0:
            raise Refused(reply.code)
        return reply

    def pipeline(self, requests, window=64):
        """Replies of (op, body) pairs, with up to `window` of them under way."""
        requests = list(requests)
        replies, sent = [], 0
        while len(replies) < len(requests):
            while sent < len(requests) and sent - len(replies) < window:
                self.send(*requests[sent])
                sent += 1
            replies.append(self.receive())
        return replies

    def auth(self, scheme, name):
        self.call(AUTH, struct.pack(">i", 0) + buffer(scheme) + buffer(name), xid=-4)

    def create(self, path, data=b"", acl=OPEN, flags=PERSISTENT):
        return self.call(CREATE, create(path, data, acl, flags)).text()

    def get(self, path):
        return self.call(GET, reading(path)).buffer()

    def set(self, path, data):
        self.call(SET, set_data(path, data))

    def close(self):
        """Ends the session."""
        self.call(CLOSE)
        self.drop()

    def drop(self):
        """Leaves the session to its timeout, as a killed client does."""
        self._from.close()
        self.socket.close()


def word(port, text, patience_s=10):
    """The answer to a four-letter word."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience_s) as to:
        to.sendall(text.encode())
        answer = b""
        while chunk := to.recv(65536):
            answer += chunk
    return answer.decode(errors="replace")
