"""What every check of this suite stands on: the registry, servers of both kinds, what a client sees of one."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import wire

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER_SH = os.path.join(HERE, "..", "server.sh")
PORTS_SH = os.path.join(HERE, "..", "ports.sh")
TESTDATA = os.path.join(HERE, "..", "..", "testdata", "java-3.9.5")
ZOOID = os.environ["ZOOID"]

SUPER = "super:test"
# Containers stay while two servers are compared; the hash is that of SUPER.
FLAGS = "-Dzookeeper.DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU="
NO_REAPING = "-Dznode.container.checkIntervalMs=3600000"

CHECKS = []


def check(function):
    CHECKS.append((function.__name__.replace("_", "-"), function))
    return function


class Failure(Exception):
    pass


def require(condition, what):
    if not condition:
        raise Failure(what)


def same(got, want, what):
    require(got == want, "%s: got %r, want %r" % (what, got, want))


def contains(text, *parts):
    for part in parts:
        require(part in text, "no %r in %r" % (part, text))


def eventually(condition, what, deadline_s=30):
    """Polls until `condition()` is true and returns its value."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        require(time.monotonic() < end, "not in %d s: %s" % (deadline_s, what))
        time.sleep(0.02)
    return value


def free_port():
    return int(subprocess.check_output([PORTS_SH]))


class Server:
    """One server process, zooid or java, on a folder that may have served before."""

    running = []

    def __init__(self, kind, folder, *lines, flags=""):
        self.kind, self.folder = kind, folder
        self.port = free_port()
        done = subprocess.run(
            [SERVER_SH, "start", kind, str(self.port), folder, *lines],
            env=dict(os.environ, JVMFLAGS="%s %s" % (FLAGS, flags)), capture_output=True, text=True)
        require(done.returncode == 0, "%s does not start: %s%s" % (kind, done.stdout, done.stderr))
        Server.running.append(self)
        with open(os.path.join(folder, "server.pid")) as file:
            self.pid = int(file.read())

    def kill(self):
        """Ends the process as a crash does."""
        self._end("kill")

    def stop(self):
        self._end("stop")

    def _end(self, how):
        if self in Server.running:
            Server.running.remove(self)
            subprocess.run([SERVER_SH, how, self.folder], check=True)

    def log(self):
        with open(os.path.join(self.folder, "server.log"), errors="replace") as file:
            return file.read()

    def zxid(self):
        for line in wire.word(self.port, "srvr").splitlines():
            if line.startswith("Zxid: "):
                return int(line.split()[1], 16)
        raise Failure("srvr of %s has no zxid" % self.kind)

    def client(self, **options):
        return wire.Client(self.port, **options)

    def superuser(self):
        client = self.client()
        client.auth("digest", SUPER)
        return client


def copy_of(folder):
    """A copy of a folder with all its data and no trace of the server that had it."""
    copy = tempfile.mkdtemp(dir=os.path.dirname(folder), prefix=os.path.basename(folder) + "-")
    shutil.copytree(os.path.join(folder, "data"), os.path.join(copy, "data"))
    return copy


def tree(server):
    """Everything that a superuser sees: path to (data, stat, ACL)."""
    client = server.superuser()
    found, level = {}, ["/"]
    while level:
        requests = [request for path in level for request in (
            (wire.GET, wire.reading(path)), (wire.GET_ACL, wire.buffer(path)), (wire.CHILDREN, wire.reading(path)))]
        replies = iter(client.pipeline(requests))
        below = []
        for path in level:
            data, acl, children = next(replies), next(replies), next(replies)
            for reply in (data, acl, children):
                require(reply.code == 0, "%s of %s: error %d" % (path, server.kind, reply.code))
            found[path] = (data.buffer(), data.stat(), acl.acl())
            below += [path.rstrip("/") + "/" + name for name in children.names()]
        level = below
    client.close()
    return found


def sessions(server, known):
    """Those of the known sessions (id to password) that go on, with the timeout that they get."""
    found = {}
    for session, password in known.items():
        client = server.client(session=(session, password))
        if client.id != 0:
            require((client.id, client.password) == (session, password), "another session than asked for")
            found[session] = client.timeout_ms
        client.drop()
    return found


def compare(one, other, what, leave_out=lambda path: False):
    """Two trees must be the same, path for path and field for field."""
    lines = []
    for path in sorted(one.keys() | other.keys()):
        if path not in one or path not in other:
            lines.append("%s only in the %s" % (path, "first" if path in one else "second"))
            continue
        (data, stat, acl), (data2, stat2, acl2) = one[path], other[path]
        if data != data2 and not leave_out(path):
            lines.append("%s data: %r, %r" % (path, data, data2))
        for name, a, b in zip(wire.STAT_FIELDS, stat, stat2):
            if a != b and not (name == "dataLength" and leave_out(path)):
                lines.append("%s %s: %s, %s" % (path, name, a, b))
        if acl != acl2:
            lines.append("%s ACL: %r, %r" % (path, acl, acl2))
    require(not lines, "%s: %d differences, the first: %s" % (what, len(lines), "; ".join(lines[:5])))


def run_all(only):
    """Runs the checks one after the other; the exit code."""
    passed = failed = 0
    # A check interrupted by the end of the suite still ends its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="zooid-disk-") as base:
        # Some checks start servers as another user, which must be able to get here.
        os.chmod(base, 0o755)
        for name, function in CHECKS:
            if only and name not in only:
                continue
            folder = os.path.join(base, name)
            os.mkdir(folder)
            start = time.monotonic()
            try:
                function(folder)
            except Exception as error:
                failed += 1
                detail = str(error) if isinstance(error, Failure) else traceback.format_exc()
                print("FAIL %s: %s" % (name, " | ".join(detail.strip().splitlines())), flush=True)
            else:
                passed += 1
                print("ok %s" % name, flush=True)
            finally:
                for server in list(Server.running):
                    server.kill()
                shutil.rmtree(folder, ignore_errors=True)
                print("# %s took %.1f s" % (name, time.monotonic() - start), file=sys.stderr, flush=True)
    print("%d passed, %d failed" % (passed, failed), flush=True)
    return 0 if passed and not failed else 1
