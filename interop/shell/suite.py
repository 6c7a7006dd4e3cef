"""`zooid cli` against a server: outputs, exit codes, pipes, watches, the terminal.

Where it claims the words of zkCli.sh, zkCli.sh runs beside it and both must say the same.
Arguments are names of checks; without any, all run.
"""

import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER_SH = os.path.join(HERE, "..", "server.sh")
PORTS_SH = os.path.join(HERE, "..", "ports.sh")
OUT = os.environ["INTEROP_OUT"]
ZOOID = os.environ["ZOOID"]
KIND = os.environ.get("SERVER", "zooid")
# Longest time for anything to happen, s.
DEADLINE = 20

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


class Failure(Exception):
    pass


def same(got, wanted):
    if got != wanted:
        raise Failure(f"{got!r} is not {wanted!r}")


def matches(pattern, text):
    if not re.search(pattern, text, re.S):
        raise Failure(f"{text!r} does not match {pattern!r}")


class Result:
    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout.decode()
        self.err = process.stderr.decode()

    def ok(self, out="", err=""):
        same((self.code, self.out, self.err), (0, out, err))
        return self

    def fails(self, err, code=1):
        same((self.code, self.out, self.err), (code, "", err))


class Lab:
    """A server, and one node for each check."""

    def __init__(self, directory):
        self.port = free_port()
        self.directory = os.path.join(directory, "server")
        self.root = None

    def server(self, verb):
        words = [SERVER_SH, verb]
        if verb == "start":
            words += [KIND, str(self.port)]
        env = dict(os.environ, JVMFLAGS="-Dzookeeper.extendedTypesEnabled=true")
        subprocess.run(words + [self.directory], check=True, env=env)

    def words(self, *words):
        return [ZOOID, "cli", "-server", f"127.0.0.1:{self.port}{self.root}", *words]

    def cli(self, *words, stdin=None):
        return Result(
            subprocess.run(
                self.words(*words),
                input=(stdin or "").encode(),
                capture_output=True,
                timeout=DEADLINE,
            )
        )

    def zkcli(self, *words):
        """The same by zkCli.sh, without what it says about the connection."""
        lib = os.path.join(OUT, "oracle", "lib")
        java = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m"]
        java += [f"-Dlogback.configurationFile={HERE}/quiet.xml", "-cp", f"{lib}/*"]
        java += ["org.apache.zookeeper.ZooKeeperMain", *self.words(*words)[2:]]
        process = subprocess.run(java, capture_output=True, timeout=60)
        result = Result(process)
        out = re.sub(r"^Connecting to \S+\n", "", result.out)
        # Its watcher tells of the connection from a thread of its own, in two prints: they land
        # before, between or after the lines of the answer.
        for said in (
            "\nWATCHER::\n",
            "\nWatchedEvent state:SyncConnected type:None path:null zxid: -1\n",
        ):
            out = out.replace(said, "", 1)
        result.out = out
        return result


def free_port():
    return int(subprocess.check_output([PORTS_SH]))


def alike(text):
    """Times and transaction numbers differ between two runs of the same commands."""
    text = re.sub(r"Zxid = 0x[0-9a-f]+", "Zxid = 0xN", text)
    return re.sub(r"time = .*", "time = T", text)


STAT = (
    r"cZxid = 0x[0-9a-f]+\nctime = (?P<ctime>[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \S+ \d{4})\n"
    r"mZxid = 0x[0-9a-f]+\nmtime = [^\n]+\npZxid = 0x[0-9a-f]+\ncversion = (?P<cversion>-?\d+)\n"
    r"dataVersion = (?P<version>\d+)\naclVersion = (?P<aversion>\d+)\n"
    r"ephemeralOwner = 0x(?P<owner>[0-9a-f]+)\ndataLength = (?P<length>\d+)\n"
    r"numChildren = (?P<children>\d+)\n"
)


def stat_of(text):
    found = re.fullmatch(STAT, text)
    if not found:
        raise Failure(f"{text!r} is not the state of a node")
    return found.groupdict()


@check
def nodes(lab):
    lab.cli("create", "/a", "hello").ok(err="Created /a\n")
    lab.cli("get", "/a").ok("hello\n")
    lab.cli("ls", "/").ok("[a]\n")
    lab.cli("create", "/a/b").ok(err="Created /a/b\n")
    lab.cli("get", "/a/b").ok("null\n")
    lab.cli("create", "/a/c", "").ok(err="Created /a/c\n")
    lab.cli("get", "/a/c").ok("\n")
    lab.cli("create", "-s", "/a/s-", "two words").ok(err="Created /a/s-0000000002\n")
    lab.cli("get", "/a/s-0000000002").ok("two words\n")
    lab.cli("create", "-s", "/a/").ok(err="Created /a/0000000003\n")
    lab.cli("create", "-c", "/box").ok(err="Created /box\n")
    lab.cli("create", "-t", "600000", "/short", "x").ok(err="Created /short\n")
    lab.cli("create", "-e", "/gone", "x").ok(err="Created /gone\n")
    lab.cli("ls", "/").ok("[a, box, short]\n")
    lab.cli("set", "/a", "more").ok()
    lab.cli("set", "/a", "-1").ok()
    lab.cli("get", "/a").ok("-1\n")
    lab.cli("getAllChildrenNumber", "/").ok("7\n")
    lab.cli("sync", "/").ok("Sync is OK\n")
    lab.cli("delete", "/box").ok()
    lab.cli("deleteall", "/a").ok()
    lab.cli("ls", "-R", "/").ok("/\n/short\n")


@check
def states(lab):
    lab.cli("create", "/a", "hello").ok(err="Created /a\n")
    stat = stat_of(lab.cli("stat", "/a").out)
    same((stat["version"], stat["length"], stat["owner"]), ("0", "5", "0"))
    # The local time, in the words of the C library.
    born = time.mktime(time.strptime(re.sub(r" \S+ (\d{4})$", r" \1", stat["ctime"]), "%a %b %d %H:%M:%S %Y"))
    same(abs(time.time() - born) < 60, True)
    same(lab.cli("get", "-s", "/a").out.split("\n", 1)[0], "hello")
    same(stat_of(lab.cli("get", "-s", "/a").out.split("\n", 1)[1])["version"], "0")
    same(stat_of(lab.cli("set", "/a", "x", "-s").out)["version"], "1")
    same(stat_of(lab.cli("set", "-v", "1", "-s", "/a", "y").out)["version"], "2")
    same(stat_of(lab.cli("setAcl", "-s", "/a", "world:anyone:cdrwa").out)["aversion"], "1")
    lines = lab.cli("ls", "-s", "/a").out.split("\n", 1)
    same((lines[0], stat_of(lines[1])["children"]), ("[]", "0"))


@check
def the_time_zone_of_the_user(lab):
    os.environ["TZ"] = "Asia/Tokyo"
    try:
        lab.cli("create", "/a").ok(err="Created /a\n")
        matches(r"JST \d{4}$", stat_of(lab.cli("stat", "/a").out)["ctime"])
    finally:
        del os.environ["TZ"]


@check
def errors_name_the_node(lab):
    lab.cli("create", "/a", "x").ok(err="Created /a\n")
    lab.cli("create", "/a/b").ok(err="Created /a/b\n")
    lab.cli("get", "/nope").fails("Node does not exist: /nope\n")
    lab.cli("stat", "/nope").fails("Node does not exist: /nope\n")
    lab.cli("ls", "-R", "/nope").fails("Node does not exist: /nope\n")
    lab.cli("deleteall", "/nope").fails("Node does not exist: /nope\n")
    lab.cli("create", "/a").fails("Node already exists: /a\n")
    lab.cli("delete", "/a").fails("Node not empty: /a\n")
    lab.cli("delete", "-v", "7", "/a/b").fails("version No is not valid : /a/b\n")
    lab.cli("get", "a").fails("Path must start with / character: a\n")
    lab.cli("get", "/a/").fails("Path must not end with / character: /a/\n")
    lab.cli("create", "-t", "0", "/t").fails("Arguments are not valid : /t\n")
    lab.cli("setAcl", "/a", "world:anyone:rq").fails("Unknown perm type: q\n")
    lab.cli("getAcl", "/a").ok("'world,'anyone\n: cdrwa\n")
    lab.cli("ls").fails("wrong number of arguments\nusage: ls [-s] [-w] [-R] path\n")
    lab.cli("ls", "-q", "/").fails("unknown option -q\nusage: ls [-s] [-w] [-R] path\n")
    lab.cli("set", "-v", "x", "/a", "y").fails(
        "option -v: x is not a number\nusage: set path data [-s] [-v version]\n"
    )
    lab.cli("bogus").fails("Command not found: bogus (`help` lists the commands)\n", code=127)


@check
def a_server_that_is_not_there(lab):
    port = free_port()
    process = subprocess.run(
        [ZOOID, "cli", "-server", f"127.0.0.1:{port}", "ls", "/"],
        capture_output=True,
        timeout=DEADLINE,
    )
    text = process.stderr.decode()
    same((process.returncode, process.stdout), (1, b""))
    matches(f"^Cannot connect to 127.0.0.1:{port}: connection refused.\n", text)
    matches("zooid serve.*clientPort", text)
    # Something listens, but does not speak.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = "127.0.0.1:%d" % listener.getsockname()[1]
        process = subprocess.run(
            [ZOOID, "cli", "-server", address, "-timeout", "500", "ls", "/"],
            capture_output=True,
            timeout=DEADLINE,
        )
    same(process.returncode, 1)
    matches(f"^Cannot connect to {address}: no answer", process.stderr.decode())


@check
def access(lab):
    commands = (
        "addauth digest bob:pw\n"
        "create /mine secret auth::cdrwa\n"
        "get /mine\n"
        "whoami\n"
    )
    result = lab.cli(stdin=commands)
    same((result.code, result.err), (0, "Created /mine\n"))
    same(result.out, "secret\nAuth scheme: User\ndigest: bob\nip: 127.0.0.1\n")
    lab.cli("get", "/mine").fails("Insufficient permission : /mine\n")
    lab.cli("setAcl", "/mine", "world:anyone:r").fails("Insufficient permission : /mine\n")
    result = lab.cli(stdin="addauth digest bob:pw\nsetAcl -R /mine world:anyone:cdrwa\n")
    result.ok()
    lab.cli("get", "/mine").ok("secret\n")
    lab.cli("addauth", "nosuch", "x").fails(
        "The server refused the authentication with scheme nosuch; the session is over.\n"
    )


@check
def a_pipe_of_commands(lab):
    result = lab.cli(
        stdin="create /a 1\n\n  set /a \"two words\"\nget /a\ncreate -e /e\ngetEphemerals\nls /nope\nhistory\n"
    )
    same(result.code, 0)
    same(result.err, "Created /a\nCreated /e\nNode does not exist: /nope\n")
    same(
        result.out,
        "two words\n[/e]\n0 - create /a 1\n1 -   set /a \"two words\"\n2 - get /a\n"
        "3 - create -e /e\n4 - getEphemerals\n5 - ls /nope\n6 - history\n",
    )
    same(lab.cli(stdin="get /a\nget /nope\n").code, 1)
    same(lab.cli(stdin="get /nope\nget /a").code, 0)
    same(lab.cli(stdin="quit\nget /nope\n").code, 0)


@check
def watches_in_a_pipe(lab):
    process = subprocess.Popen(
        lab.words(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        process.stdin.write(b"create /a 1\nget -w /a\nset /a 2\nls -w /a\nstat -w /a\ncreate /a/b\ndelete /a/b\ndelete /a\n")
        process.stdin.flush()
        wanted = ["NodeDataChanged path:/a", "NodeChildrenChanged path:/a", "NodeDeleted path:/a"]
        read_until(process.stdout.fileno(), lambda text: all(word in text for word in wanted))
    finally:
        process.stdin.close()
        process.wait(DEADLINE)


@check
def watch_prints_until_interrupted(lab):
    for name, words, wanted in [
        (
            "/w",
            ["watch", "/w"],
            ["NodeCreated path:/w", "NodeCreated path:/w/c", "NodeDataChanged path:/w/c", "NodeDeleted path:/w/c"],
        ),
        (
            "/v",
            ["addWatch", "-m", "PERSISTENT", "/v"],
            ["NodeCreated path:/v", "NodeChildrenChanged path:/v", "NodeChildrenChanged path:/v"],
        ),
    ]:
        process = subprocess.Popen(lab.words(*words), stdout=subprocess.PIPE)
        try:
            wait_for(lambda: any(path in watched(lab) for path in [lab.root + name]))
            lab.cli(stdin=f"create {name}\ncreate {name}/c\nset {name}/c x\ndelete {name}/c\n")
            text = read_until(process.stdout.fileno(), lambda text: text.count("\n") == len(wanted))
            lines = [re.sub(r" zxid: \d+$", "", line) for line in text.splitlines()]
            same(lines, [f"WatchedEvent state:SyncConnected type:{event}" for event in wanted])
            process.send_signal(signal.SIGINT)
            same(process.wait(DEADLINE), 0)
        finally:
            process.kill()
            process.wait()
    lab.cli("watch", "-m", "BOGUS", "/w").fails(
        "unknown mode BOGUS\nusage: watch [-m PERSISTENT|PERSISTENT_RECURSIVE] path\n"
    )


def watched(lab):
    """The paths with watches, as the server says."""
    with socket.create_connection(("127.0.0.1", lab.port)) as link:
        link.sendall(b"wchp")
        text = b""
        while chunk := link.recv(65536):
            text += chunk
    return text.decode().splitlines()


@check
def output_that_nobody_reads(lab):
    # More than a pipe holds.
    lab.cli("create", "/0", "x" * 100_000).ok(err="Created /0\n")
    reader, writer = os.pipe()
    process = subprocess.Popen(lab.words("get", "/0"), stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    os.read(reader, 10)
    os.close(reader)
    same(process.stderr.read(), b"")
    process.stderr.close()
    process.wait(DEADLINE)


@check
def bytes_come_as_they_are(lab):
    # Through another client there could be any bytes; the command line takes text.
    lab.cli("create", "/a", "grün\n€").ok(err="Created /a\n")
    lab.cli("get", "/a").ok("grün\n€\n")


@check
def large_subtrees(lab):
    lines = ["create /t"]
    for a in range(30):
        lines.append(f"create /t/{a:02}")
        lines += [f"create /t/{a:02}/{b:02}" for b in range(30)]
    same(lab.cli(stdin="\n".join(lines)).code, 0)
    lines = lab.cli("ls", "-R", "/t").out.splitlines()
    same((len(lines), lines[0], lines[1], lines[31]), (931, "/t", "/t/00", "/t/00/00"))
    lab.cli("setAcl", "-R", "/t", "world:anyone:cdrw").ok()
    lab.cli("getAcl", "/t/29/29").ok("'world,'anyone\n: cdrw\n")
    lab.cli("deleteall", "/t", "-b", "100").ok()
    lab.cli("ls", "/").ok("[]\n")


@check
def the_same_words_as_zkcli(lab):
    """Each command runs by both, below a node of its own; what they say and return is the same."""
    commands = [
        "create /R hello",
        "create /R/b",
        "create -s /R/b/s- x",
        "create -c /R/box y",
        "create /R/acl data digest:bob:xx=:cdrwa,world:anyone:r",
        "get -s /R",
        "get /R/b",
        "get /R/nope",
        "set /R x -s",
        "set -v 9 /R x",
        "ls -s /R",
        "ls -R /R",
        "stat /R/b",
        "stat /R/nope",
        "getAcl -s /R",
        "getAcl /R/acl",
        "setAcl -s /R/b world:anyone:cdra",
        "setAcl /R/b foo:bar",
        "getAllChildrenNumber /R",
        "getEphemerals",
        "sync /R",
        "whoami",
        "create /R",
        "create /R/x/y",
        "create -c -e /R/z",
        "create -t x /R/z",
        "delete /R",
        "delete -v 9 /R/box",
        "delete /R/box 3",
        "deleteall /R/nope",
        "deleteall /R",
    ]
    # What zkCli.sh says differently for no use of anybody.
    tolerated = {
        "setAcl /R/b foo:bar": "zkCli.sh sends no ACL then, and says that it is not valid, too",
    }
    differences = []
    for command in commands:
        mine = lab.cli(*command.replace("/R", "/mine").split())
        its = lab.zkcli(*command.replace("/R", "/zkcli").split())
        mine, its = (
            (result.code, alike(result.out), alike(result.err).replace("/zkcli", "/mine"))
            for result in (mine, its)
        )
        its = (its[0], its[1].replace("/zkcli", "/mine"), its[2])
        if command in tolerated:
            mine, its = mine[0], its[0]
        if mine != its:
            differences.append(f"{command}: {mine} where zkCli.sh has {its}")
    same(differences, [])


class Terminal:
    """The shell on a terminal of its own."""

    def __init__(self, words):
        self.process, self.fd = pty.fork()
        if self.process == 0:
            os.environ["TERM"] = "xterm"
            os.execv(words[0], words)
        self.text = ""

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def expect(self, pattern):
        """Reads until the new text matches, and gives the match."""

        def plain(text):
            return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", text)

        end = time.monotonic() + DEADLINE
        while not (found := re.search(pattern, plain(self.text), re.S)):
            if time.monotonic() > end:
                raise Failure(f"{pattern!r} did not come, but {plain(self.text)!r}")
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.fd, 65536).decode(errors="replace")
                except OSError as error:
                    raise Failure(f"ended before {pattern!r}: {plain(self.text)!r}") from error
        self.text = ""
        return found

    def end(self):
        """The exit code."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            # A terminal that nobody reads would keep the shell from writing.
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    os.read(self.fd, 65536)
                except OSError:
                    pass
            pid, status = os.waitpid(self.process, os.WNOHANG)
            if pid:
                self.process = None
                return os.waitstatus_to_exitcode(status)
        raise Failure("the shell did not end")

    def close(self):
        if self.process:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
        os.close(self.fd)


@check
def the_terminal(lab):
    lab.cli(stdin="create /alpha 1\ncreate /alpha/beta 2\ncreate /alpha/bravo 3\n")
    terminal = Terminal(lab.words())
    try:
        terminal.expect(r"Connecting to .*Welcome.*\[zk: \S+\(CONNECTED\) 0\] ")
        terminal.type("get /al\t/be\t\r")
        terminal.expect(r"get /alpha/beta\n2\n\[zk: \S+\(CONNECTED\) 1\] ")
        terminal.type("getAll\t/\r")
        terminal.expect(r"getAllChildrenNumber /\n3\n.* 2\] ")
        # The last command but one, by the arrow key.
        terminal.type("\x1b[A\x1b[A\r")
        terminal.expect(r"\n2\n.* 3\] ")
        terminal.type("get -w /alpha\r")
        terminal.expect(r"\n1\n.* 4\] ")
        lab.cli("set", "/alpha", "4").ok()
        terminal.expect(r"WATCHER::\n\nWatchedEvent state:SyncConnected type:NodeDataChanged path:/alpha zxid: \d+\n")
        terminal.type("watch /alpha\r")
        terminal.expect(r" 5\] ")
        lab.cli("create", "/alpha/new").ok(err="Created /alpha/new\n")
        terminal.expect(r"type:NodeCreated path:/alpha/new")
        # An event leaves what is being typed where it was.
        terminal.type("get /al")
        terminal.expect(r"get /al$")
        lab.cli("delete", "/alpha/new").ok()
        terminal.expect(r"type:NodeDeleted path:/alpha/new zxid: \d+\n\[zk: \S+ 5\] get /al$")
        terminal.type("pha\r")
        terminal.expect(r"\n4\n.* 6\] ")
        terminal.type("get /nope\r")
        terminal.expect(r"Node does not exist: /nope\n.* 7\] ")
        # Ctrl-C gives up the line, Ctrl-D the shell.
        terminal.type("delete /alpha\x03")
        terminal.expect(r" 7\] ")
        terminal.type("help\r")
        terminal.expect(r"Commands:.*whoami.* 8\] ")
        terminal.type("\x04")
        same(terminal.end(), 0)
    finally:
        terminal.close()


@check
def the_terminal_survives_the_server(lab):
    """Comes last: it restarts the server."""
    lab.cli("create", "/a", "1").ok(err="Created /a\n")
    terminal = Terminal(lab.words())
    try:
        terminal.expect(r"\(CONNECTED\) 0\] ")
        lab.server("kill")
        terminal.expect(r"state:Disconnected")
        terminal.type("\r")
        terminal.expect(r"\(CONNECTING\) 0\] ")
        # The interrupt key leaves a command that waits.
        terminal.type("get /a\r")
        terminal.expect(r"get /a\n")
        terminal.type("\x03")
        terminal.expect(r"interrupted\n.*\(CONNECTING\) 1\] ")
        lab.server("start")
        terminal.expect(r"state:SyncConnected")
        terminal.type("get /a\r")
        terminal.expect(r"\n1\n.*\(CONNECTED\) 2\] ")
        terminal.type("quit\r")
        same(terminal.end(), 0)
    finally:
        terminal.close()


def wait_for(condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise Failure("what was waited for did not happen")
        time.sleep(0.02)


def read_until(fd, enough):
    text = ""
    end = time.monotonic() + DEADLINE
    while not enough(text):
        left = end - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise Failure(f"only {text!r} came")
        chunk = os.read(fd, 65536)
        if not chunk:
            raise Failure(f"only {text!r} came before the end")
        text += chunk.decode()
    return text


def main(names):
    directory = tempfile.mkdtemp()
    lab = Lab(directory)
    passed = failed = 0
    try:
        lab.server("start")
        for number, function in enumerate(CHECKS):
            name = function.__name__
            if names and name not in names:
                continue
            try:
                lab.root = ""
                lab.cli("create", f"/check-{number}").ok(err=f"Created /check-{number}\n")
                lab.root = f"/check-{number}"
                function(lab)
                print(f"ok {name}", flush=True)
                passed += 1
            except Exception as error:
                why = f"{type(error).__name__}: {error}".replace("\n", " ")
                print(f"FAIL {name}: {why}", flush=True)
                failed += 1
    finally:
        subprocess.run([SERVER_SH, "kill", lab.directory], check=False)
        if failed and os.path.exists(f"{lab.directory}/server.log"):
            sys.stderr.write("--- the end of the server's log\n")
            with open(f"{lab.directory}/server.log", errors="replace") as log:
                sys.stderr.writelines(log.readlines()[-40:])
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
