"""Servers that find no leader and serve reads meanwhile."""

import os
import subprocess

from kazoo.client import KazooClient, KazooState, KeeperState
from kazoo.exceptions import NotReadOnlyCallError

from processes import DEADLINE_S, ORACLE
from client import (NO_NODE, NOT_READ_ONLY, SHORT_MS, Session, attach, error, eventually, gone, level, require, same, sets,
                    wait_closed, wire)

HERE = os.path.dirname(os.path.abspath(__file__))
OFFICIAL = ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "-Dlogback.configurationFile=" + os.path.join(HERE, "..", "reconfig", "quiet.xml"),
            "-cp", "%s/*" % ORACLE, os.path.join(HERE, "ReadOnly.java")]
WRITES = [
    (wire.CREATE, wire.create("/ro")), (wire.CREATE2, wire.create("/ro")), (wire.CONTAINER, wire.create("/ro", flags=4)),
    (wire.TTL, wire.create_ttl("/ro", b"", wire.OPEN, 1000)), (wire.DELETE, wire.versioned("/ro")),
    (wire.SET, wire.set_data("/", b"x")), (wire.SET_ACL, wire.set_acl("/", wire.OPEN)), (wire.SYNC, wire.buffer("/")),
    (wire.MULTI, wire.multi([(wire.CREATE, wire.create("/ro"))])), (wire.CREATE, b"not a request"),
]


def cut_off(ensemble, member):
    """Ends the others, and waits until the member serves reads."""
    for other in ensemble.running():
        if other is not member:
            other.kill()
    eventually(lambda: member.mode() == "read-only", lambda: "%r is read-only, not %r" % (member, member.srvr()))


def bring_back(ensemble, member):
    ensemble.start(*(other for other in ensemble.members if other is not member))
    ensemble.whole()


def serves_reads(ensemble):
    observers = [member for member in ensemble.members if member.observer]
    for member in [ensemble.followers()[0], ensemble.leader()] + observers:
        writer = member.client()
        writer.create("/read", b"1")
        writer.create("/read/child")
        writer.create("/global", flags=wire.EPHEMERAL)
        zxid = member.zxid()
        cut_off(ensemble, member)
        wait_closed(writer, "a session of before")
        require(gone(member.client), "a client that wants to write is let in")
        require(gone(attach, member, writer, read_only=True), "a global session is let in")
        strange = Session(member.port, 10_000, session=(writer.id + 999, writer.password), read_only=True)
        same((strange.id, strange.is_read_only), (0, True), "a session with the wrong password")

        client = member.client(read_only=True)
        require(client.id != 0 and client.is_read_only, "the handshake of a client that is content")
        same(client.read("/read", watch=True)[0], b"1", "a read")
        same(client.children("/read"), ["child"], "children")
        same(error(client.get, "/none"), NO_NODE, "a node that is not there")
        same(client.exists("/global")["ephemeralOwner"], writer.id, "a node whose owner is somewhere else")
        replies = client.pipeline(WRITES + [(wire.GET, wire.reading("/read"))])
        same([reply.code for reply in replies], [NOT_READ_ONLY] * len(WRITES) + [0], "codes on %r" % member)
        same({reply.zxid for reply in replies}, {member.zxid()}, "zxids of replies")
        same(member.zxid(), zxid, "the state behind that")
        client.ping()
        again = attach(member, client, read_only=True)
        same((again.id, again.is_read_only), (client.id, True), "its session once more")
        wait_closed(client, "the connection before")
        other = member.client(read_only=True)
        same(error(other.call, wire.CLOSE), 0, "the end of a session")
        wait_closed(other, "a closed session")
        same(attach(member, other, read_only=True).id, 0, "a closed session")
        bring_back(ensemble, member)
        wait_closed(again, "a session of the server without a leader")
        eventually(lambda: member.mode() in ("leader", "follower", "observer"), "it serves all")
        same(attach(member, again, read_only=True).id, 0, "that session behind the election")
        client = member.client(read_only=True)
        same(client.is_read_only, False, "the handshake of a server with a leader")
        same(error(client.set, "/read", b"2"), 0, "a write")
        client.delete("/read/child")
        client.delete("/read")
        client.close()
        back = attach(member, writer)
        same(back.id, writer.id, "the session of before")
        back.close()
        level(ensemble)


def tells_what_it_is(ensemble):
    """And ends silent sessions by itself."""
    member = ensemble.followers()[0]
    same(member.word("isro"), "rw", "isro with a leader")
    whole = member.monitor()
    conf = member.word("conf")
    require("\nmembership: \nserver.1=" in conf and "\nserverId=%d\n" % member.sid in conf, conf)
    cut_off(ensemble, member)
    same(member.word("isro"), "ro", "isro without one")
    for name in ("srvr", "stat"):
        lines = member.word(name).splitlines()
        require(lines[0].startswith("Zookeeper version: "), lines[0])
        same(lines[1], "READ-ONLY mode; serving only read-only clients", name)
    told = member.monitor()
    same(told.get("zk_server_state"), "read-only", "state")
    same({name for name in ("zk_peer_state", "zk_quorum_size") if name in told}, set(), "what only members with a leader have")
    same({name for name in whole if name not in told} - {"zk_peer_state", "zk_quorum_size"}, set(), "what is left out")
    same(told.get("zk_local_sessions"), "0", "local sessions")
    client = member.client(read_only=True)
    same(member.monitor().get("zk_local_sessions"), "1", "local sessions")
    lines = member.word("dump").splitlines()
    same(sets(lines, "Local"), ["0x%x" % client.id], "local sessions in dump")
    require("Global Sessions(0):" in lines, lines)
    read_only_conf = member.word("conf")
    require(read_only_conf.endswith("\npeerType=0\n"), read_only_conf)
    stable = ("dataDirSize", "dataLogSize")
    lines = [line for line in read_only_conf.splitlines() if not line.startswith(stable)]
    same([line for line in conf.splitlines() if not line.startswith(stable)][:len(lines)], lines, "conf")
    client.drop()
    client = member.client(timeout_ms=SHORT_MS, read_only=True)
    wait_closed(client, "a silent session")
    same(attach(member, client, read_only=True).id, 0, "an expired session")
    bring_back(ensemble, member)
    same(member.word("isro"), "rw", "isro with a leader again")


def libraries_go_on(ensemble):
    """kazoo and the official client, whose server loses its leader and finds one again."""
    member = ensemble.followers()[0]
    address = "127.0.0.1:%d" % member.port
    # Its virtual machine starts meanwhile.
    official = subprocess.Popen([*OFFICIAL, address, "/kazoo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)
    client = KazooClient(hosts=address, read_only=True, timeout=30)
    try:
        client.start(timeout=DEADLINE_S)
        client.create("/kazoo", b"1")
        cut_off(ensemble, member)
        eventually(lambda: client.client_state == KeeperState.CONNECTED_RO, lambda: "kazoo is %r" % client.client_state)
        same(client.get("/kazoo")[0], b"1", "a read")
        try:
            client.set("/kazoo", b"2")
            require(False, "a write is done")
        except NotReadOnlyCallError:
            pass
        official.stdin.write("go\n")
        official.stdin.flush()
        same(official.stdout.readline(), "reads 1\n", "what the official client says")
        bring_back(ensemble, member)
        eventually(lambda: client.client_state == KeeperState.CONNECTED, lambda: "kazoo is %r" % client.client_state)
        eventually(lambda: client.state == KazooState.CONNECTED, lambda: "kazoo is %r" % client.state)
        same(official.stdout.readline(), "has written\n", "what the official client says")
        same(client.get("/kazoo")[0], b"2", "what it wrote")
        client.set("/kazoo", b"3")
        client.delete("/kazoo")
        same(official.wait(DEADLINE_S), 0, "how the official client ended")
    finally:
        official.kill()
        official.wait()
        client.stop()
        client.close()


def without_local_sessions_nobody_gets_one(ensemble):
    """Java answers with a frame that is none of a handshake, and leaves the client to wait."""
    member = ensemble.followers()[0]
    writer = member.client()
    cut_off(ensemble, member)
    require(gone(member.client), "a client that wants to write is let in")
    try:
        client = member.client(read_only=True)
        same(client.password, b"", "the password in what is no answer to a handshake")
        client.drop()
    except wire.Gone:
        pass
    require(gone(attach, member, writer, read_only=True), "a global session is let in")
    same(member.word("isro"), "ro", "isro")
    bring_back(ensemble, member)
    back = attach(member, writer)
    same(back.id, writer.id, "the session of before")
    back.close()


WITH_LOCAL = [serves_reads, tells_what_it_is, libraries_go_on]
WITHOUT_LOCAL = [without_local_sessions_nobody_gets_one]
