"""The same changes by the tools of the users: zkCli.sh, `zooid cli` beside it, kazoo."""

import contextlib
import os
import re
import subprocess
import tempfile

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException

from servers import CONFIG, DEADLINE_S, HERE, ORACLE, ZOOID, Failure, eventually, require, same, wire

ZKCLI = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m",
         "-Dlogback.configurationFile=%s/quiet.xml" % HERE, "-cp", "%s/*" % ORACLE,
         "org.apache.zookeeper.ZooKeeperMain"]


def cli(member, *words):
    return run([ZOOID, "cli", "-server", "127.0.0.1:%d" % member.port, *words])


def zkcli(member, *words):
    """Without what it says about the connection, from a thread of its own."""
    code, out, err = run(ZKCLI + ["-server", "127.0.0.1:%d" % member.port, *words])
    out = re.sub(r"^Connecting to \S+\n", "", out)
    for said in ("\nWATCHER::\n", "\nWatchedEvent state:SyncConnected type:None path:null zxid: -1\n"):
        out = out.replace(said, "", 1)
    return code, out, err


def run(command):
    done = subprocess.run(command, capture_output=True, timeout=DEADLINE_S, text=True, env=dict(os.environ, TZ="UTC"))
    return done.returncode, done.stdout, done.stderr


def everyone_may(ensemble):
    """zkCli.sh cannot say who it is and what it wants in one line."""
    with contextlib.closing(ensemble.whole().session()) as session:
        session.call(wire.SET_ACL, wire.set_acl(CONFIG, [(31, "world", "anyone")]))


def shells(ensemble):
    everyone_may(ensemble)
    through = ensemble.followers()[0]
    leaving = [member for member in ensemble.followers() if member is not through][0]
    all_three = ",".join(member.line() for member in ensemble.members)
    text = through.read()[0].decode()
    with tempfile.NamedTemporaryFile("w", suffix=".dynamic") as file:
        file.write(all_three.replace(",", "\n"))
        file.flush()
        for words in (
            ("config",),
            ("config", "-s"),
            ("config", "-c"),
            ("reconfig", "-v", "1", "-remove", "1"),
            ("reconfig", "-remove", "1,2"),
            ("reconfig", "-add", "server.9=127.0.0.1"),
            ("reconfig", "-remove", "x"),
            ("reconfig", "-add", "server.11=h:1:2;3,server.12=h:3:4;5,server.13=h:6:7;8,server.14=h:9:10;11"),
        ):
            mine, its = cli(through, *words), zkcli(through, *words)
            if "-c" in words:
                # zkCli.sh has the addresses in the order of a hash table.
                mine, its = ((code, sorted(re.split("[ ,\n]", out)), err) for code, out, err in (mine, its))
            same(mine, its, "zooid cli beside zkCli.sh: %s" % (words,))
        for words in ((), ("-v", "x", "-remove", "1"), ("-members", "x", "-add", "y"), ("-members", "x", "-file", "y"),
                      ("-file", "/nowhere/at/all")):
            # zkCli.sh ends with 1 there, too, and has its own words for how it is used.
            same(cli(through, "reconfig", *words)[:2], (1, ""), "zooid cli refuses %s" % (words,))
        for tool in (cli, zkcli):
            before = through.read()[0].decode()
            version = before.rpartition("version=")[2]
            for words in (("-remove", str(leaving.sid), "-v", version), ("-add", leaving.line()), ("-file", file.name),
                          ("-members", all_three)):
                code, out, err = tool(through, "reconfig", *words)
                now = through.read()[0].decode()
                same((code, out, err), (0, "Committed new configuration:\n%s\n" % now, ""), "%s %s" % (tool.__name__, words))
                require(now != before, "another version")
                before = now
                # Who left is no follower that counts until it comes back.
                eventually(lambda: leaving.mode() == "follower", "%r follows" % leaving)
    same(before.splitlines()[:-1], text.splitlines()[:-1], "the list behind all")


def kazoo(ensemble):
    everyone_may(ensemble)
    through = ensemble.followers()[0]
    leaving = [member for member in ensemble.followers() if member is not through][0]
    client = KazooClient("127.0.0.1:%d" % through.port, timeout=60)
    client.start(timeout=DEADLINE_S)
    try:
        before = client.get(CONFIG)[0].decode()
        version = int(before.rpartition("version=")[2], 16)
        data, stat = client.reconfig(joining=None, leaving=str(leaving.sid), new_members=None, from_config=version)
        require(leaving.line() not in data.decode(), "the member is gone: %r" % data)
        same((data, stat), client.get(CONFIG), "the answer")
        data, _ = client.reconfig(joining=leaving.line(), leaving=None, new_members=None)
        same(data.decode().splitlines()[:-1], before.splitlines()[:-1], "the list")
        try:
            client.reconfig(joining=None, leaving=None, new_members=None, from_config=version)
        except KazooException as error:
            same(type(error).__name__, "BadVersionError", "the refusal")
        else:
            raise Failure("an old version was taken")
    finally:
        client.stop()
        client.close()
