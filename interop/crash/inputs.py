"""Requests of which a server of Java dies, hangs or leaks (the list of known defects of 3.9.5): each is answered, the
server goes on, and a restart on the same directory works."""

import os
import struct
import subprocess

import wire
from harness import ZOOID, Server, check, require, same

KIND = os.environ["SERVER"]
CREATE_SESSION, DELETE_CONTAINER, SET_WATCHES = -10, 20, 101


def code_of(client, op, body, xid=None):
    """The error code of a request; None when the server closed the connection instead."""
    client.send(op, body, xid)
    try:
        return client.receive().code
    except wire.Gone:
        return None


def survives(server, folder, *lines):
    """Writes, dies, comes back, and has it."""
    client = server.client()
    client.create("/alive", b"yes")
    client.drop()
    server.kill()
    done = subprocess.run([ZOOID, "verify", os.path.join(folder, "data"), "-Dzookeeper.extendedTypesEnabled=true"],
                          capture_output=True, text=True)
    require(done.returncode == 0, "zooid verify: %s%s" % (done.stdout, done.stderr))
    server = Server(KIND, folder, *lines)
    client = server.client()
    same(client.get("/alive"), b"yes", "a node behind the restart")
    client.create("/again")
    require("digests in the log differ" not in server.log(), "the tree is not what the log says")
    server.kill()


def input_check(*lines):
    def wrap(function):
        def run(folder):
            server = Server(KIND, folder, *lines)
            function(server)
            survives(server, folder, *lines)
        run.__name__ = function.__name__
        run.zooid_only = True
        check(run)
        return function
    return wrap


@input_check("extendedTypesEnabled=true")
def createttl_without_a_ttl_mode_and_a_negative_ttl(server):
    client = server.client()
    for flags in range(5):
        for ttl in (-1, -2**63):
            body = wire.create("/t", b"", flags=flags) + struct.pack(">q", ttl)
            same(code_of(client, wire.TTL, body), -8, "flags %d, ttl %d" % (flags, ttl))
            part = wire.multi([(wire.TTL, body)])
            reply = client.pipeline([(wire.MULTI, part)])[0]
            require(reply.code in (0, -8, -5), "in a multi: %d" % reply.code)


@input_check()
def limits_node_in_the_room_of_quotas(server):
    client = server.superuser()
    body = wire.create("/zookeeper/quota/zookeeper_limits", b"count=1,bytes=1")
    same(code_of(client, wire.CREATE, body), -8, "error")
    same(code_of(client, wire.CREATE2, body), -8, "error of create2")


def quota(server, limits, stats):
    client = server.superuser()
    for path, data in (("/q", b""), ("/zookeeper/quota/q", b""), ("/zookeeper/quota/q/zookeeper_limits", limits),
                       ("/zookeeper/quota/q/zookeeper_stats", stats)):
        client.create(path, data)
    client.set("/zookeeper/quota/q/zookeeper_stats", stats)
    return client


@input_check()
def quota_statistics_that_do_not_parse(server):
    for_text = (b"nonsense", b"", b"count=x,bytes=y", b"count=99999999999999999999,bytes=1", b"\xff\xfe=,,,", b"=")
    client = quota(server, b"count=1000,bytes=1000000", for_text[0])
    for at, text in enumerate(for_text):
        client.set("/zookeeper/quota/q/zookeeper_stats", text)
        client.create("/q/n%d" % at, b"1")
        client.set("/q/n%d" % at, b"22")
        client.call(wire.DELETE, wire.versioned("/q/n%d" % at))


@input_check("enforceQuota=true")
def quota_limits_that_do_not_parse(server):
    client = quota(server, b"nonsense", b"count=1,bytes=1")
    for at, text in enumerate((b"nonsense", b"", b"count=x", b"count=9999999999999999999999,bytes=-")):
        client.set("/zookeeper/quota/q/zookeeper_limits", text)
        require(code_of(client, wire.CREATE, wire.create("/q/n%d" % at)) in (0, -5), "a create below %r" % text)


@input_check()
def bodies_of_writes_that_cannot_be_decoded(server):
    bodies = (b"", b"\0", b"\x7f\xff\xff\xff", wire.buffer("/x"), wire.buffer("/x") + b"\x7f\xff\xff\xff",
              b"\xff\xff\xff\xff" * 5)
    writes = (wire.CREATE, wire.DELETE, wire.SET, wire.SET_ACL, wire.CREATE2, wire.CONTAINER, wire.TTL,
              DELETE_CONTAINER, wire.MULTI, 16)
    other = server.client()
    other.create("/other")
    for op in writes:
        for body in bodies:
            client = server.client()
            code = code_of(client, op, body)
            require(code is None or code < 0 or op == wire.MULTI, "operation %d with %r: %s" % (op, body, code))
            client.drop()
            # Java's ensemble hangs here: for everybody.
            other.set("/other", body)


@input_check()
def delete_container_from_a_client(server):
    owner = server.client()
    owner.auth("digest", "owner:secret")
    owner.create("/mine", b"", [(31, "auth", "")])
    owner.create("/mine/empty", b"", [(31, "auth", "")])
    stranger = server.client()
    code = code_of(stranger, DELETE_CONTAINER, wire.buffer("/mine/empty"))
    require(code in (None, -102, -6), "deleteContainer of a stranger: %s" % code)
    require(owner.get("/mine/empty") == b"", "the node is gone")


@input_check()
def create_session_from_a_client(server):
    client = server.client()
    code = code_of(client, CREATE_SESSION, struct.pack(">i", 30000))
    require(code in (None, -6), "createSession from a client: %s" % code)


@input_check()
def reattach_with_a_wrong_password(server):
    rightful = server.client()
    rightful.create("/e", b"", flags=wire.EPHEMERAL)
    for password in (b"x" * 16, b"", bytes(16), b"y" * 10000):
        thief = server.client(session=(rightful.id, password))
        same(thief.id, 0, "session of a thief")
        same(rightful.get("/e"), b"", "the rightful client")


@input_check()
def set_watches_on_nodes_that_cannot_be_read(server):
    owner = server.client()
    owner.auth("digest", "owner:secret")
    owner.create("/secret", b"", [(31, "auth", "")])
    lists = struct.pack(">i", 1) + wire.buffer("/secret")
    stranger = server.client()
    body = struct.pack(">q", 0) + lists + struct.pack(">i", 0) + lists
    stranger.send(SET_WATCHES, body, xid=-8)
    stranger.receive()
    for body in (b"", struct.pack(">qi", 0, 0x7fffffff), struct.pack(">qiii", 0, -1, -1, -1)):
        client = server.client()
        code_of(client, SET_WATCHES, body, xid=-8)
        client.drop()


@input_check()
def container_flags_on_other_creates(server):
    client = server.client()
    at = 0
    for op in (wire.CREATE, wire.CREATE2, wire.CONTAINER):
        for flags in (0, 1, 2, 3, 4):
            at += 1
            code_of(client, op, wire.create("/k%d" % at, b"1", flags=flags))
            code_of(client, wire.SET, wire.set_data("/k%d" % at, b"22"))
            part = (op, wire.create("/m%d" % at, b"1", flags=flags))
            client.pipeline([(wire.MULTI, wire.multi([part]))])
    client.create("/behind")
    counted = [line for line in wire.word(server.port, "mntr").splitlines() if "digest_mismatches_count" in line]
    require(len(counted) == 1 and counted[0].endswith("\t0"), "digest mismatches: %s" % counted)


@input_check("closeSessionTxn.enabled=true")
def zookeeper_4306_the_end_of_a_session_with_very_many_nodes(server):
    """Java acknowledges it and cannot start on it."""
    client = server.client()
    client.create("/long-" + "x" * 200)
    base = "/long-" + "x" * 200 + "/" + "e" * 200
    for reply in client.pipeline(((wire.CREATE, wire.create("%s%d" % (base, at), b"", flags=wire.EPHEMERAL))
                                  for at in range(8000)), window=512):
        same(reply.code, 0, "a create")
    client.close()
    other = server.client()
    same(other.call(wire.CHILDREN, wire.reading("/long-" + "x" * 200)).names(), [], "nodes of the session")


@input_check()
def a_multi_that_grows_beyond_what_can_be_read_back(server):
    client = server.client()
    for user in range(60):
        client.auth("digest", "user%d:secret" % user)
    parts = [(wire.CREATE, wire.create("/grown%d" % at, b"", [(31, "auth", "")])) for at in range(2000)]
    reply = client.pipeline([(wire.MULTI, wire.multi(parts))])[0]
    same(reply.code, -5, "error of a multi of 5 MB")
    reply = client.pipeline([(wire.EXISTS, wire.reading("/grown0"))])[0]
    same(reply.code, -101, "a part of a refused multi")
