"""What every check of this suite stands on: the registry, a server of its own, clients, waiting.

A check is a function marked with `@check` that takes an `Env`. It passes when it returns in time.
"""

import concurrent.futures
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from kazoo.client import KazooClient
from kazoo.handlers.threading import SequentialThreadingHandler

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER_SH = os.path.join(HERE, "..", "server.sh")
PORTS_SH = os.path.join(HERE, "..", "ports.sh")
KIND = os.environ.get("SERVER", "zooid")

CHECK_DEADLINE_S = 40
"""A check that has not ended by then has failed; the others still run."""

AT_ONCE = 3
"""Checks that run at the same time: most of the long ones wait for a session to expire."""

CHECKS = []


def check(function):
    CHECKS.append((function.__name__.replace("_", "-"), function))
    return function


class Server:
    """One server process with a port and a folder of its own."""

    started = []

    def __init__(self, folder):
        Server.started.append(self)
        self.folder = folder
        self.port = int(subprocess.check_output([PORTS_SH]))
        self.hosts = "127.0.0.1:%d" % self.port
        self.clients_stay_away = False
        self.start()

    def start(self):
        self._call("start", KIND, str(self.port), self.folder)
        self.clients_stay_away = False

    def kill(self):
        """Ends the process as a crash does (kill -9)."""
        # Apache ZooKeeper 3.9.5 never closes a connection that comes before its data is loaded
        # (ZooKeeperServer.removeCnxn: NullPointerException), and kazoo then waits for a whole session timeout.
        # So its clients stay away until it serves. Zooid has to stand the knocking.
        self.clients_stay_away = KIND == "java"
        self._call("kill", self.folder)

    @staticmethod
    def _call(*words):
        done = subprocess.run([SERVER_SH, *words], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError("server.sh %s: %s" % (words[0], done.stdout + done.stderr))


class Handler(SequentialThreadingHandler):
    """kazoo's threads and sockets, with a way to the server that can be shut."""

    def __init__(self, server):
        super().__init__()
        self._server = server

    def create_connection(self, *words, **options):
        if self._server.clients_stay_away:
            raise ConnectionRefusedError("the server is starting")
        return super().create_connection(*words, **options)


class Env:
    """One check's view: its server, a path that only it uses, clients that end with it."""

    def __init__(self, folder, server, name):
        self._folder = folder
        self._cleanup = contextlib.ExitStack()
        self.server = server
        self.path = "/" + name

    def own_server(self):
        """Gives this check a server that it may kill."""
        self.server = Server(os.path.join(self._folder, "server-of" + self.path.replace("/", "-")))
        self._cleanup.callback(self.server.kill)
        return self.server

    def client(self, chroot="", timeout=10.0, **options):
        """A started client, whose session timeout is `timeout` seconds."""
        zk = KazooClient(self.server.hosts + chroot, timeout=timeout, handler=Handler(self.server), **options)
        zk.start(timeout=15)
        self._cleanup.callback(end_client, zk)
        return zk

    def process(self, *words):
        """A child process with a line-wise standard output."""
        child = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True, bufsize=1)
        self._cleanup.callback(end_process, child)
        return child

    def close(self):
        self._cleanup.close()


def end_client(zk):
    zk.stop()
    zk.close()


def end_process(child):
    child.kill()
    child.wait()
    child.stdout.close()


def eventually(condition, what, deadline_s=15):
    """Polls until `condition()` is true and returns its value."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not in %d s: %s" % (deadline_s, what))
        time.sleep(0.01)


def equal(got, want, what=""):
    if got != want:
        raise AssertionError("%s: got %r, want %r" % (what or "value", got, want))


def raises(error, function, *args, **options):
    """Calls the function, which must raise exactly this class of error."""
    try:
        value = function(*args, **options)
    except Exception as caught:
        if type(caught) is not error:
            raise AssertionError("raised %r, want %s" % (caught, error.__name__)) from caught
        return caught
    raise AssertionError("returned %r, want %s" % (value, error.__name__))


def together(*functions):
    """Runs the functions at the same time; returns their values, or raises the first error."""
    values, errors = [None] * len(functions), []

    def call(index, function):
        try:
            values[index] = function()
        except Exception as error:
            errors.append(error)

    threads = [
        threading.Thread(target=call, args=(index, function), daemon=True)
        for index, function in enumerate(functions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return values


def run_all(wanted):
    """Runs the registered checks (those in `wanted`, if any); returns the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="zooid-python-")
    passed = failed = 0
    pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
    try:
        server = Server(os.path.join(folder, "server"))
        chosen = [(name, function) for name, function in CHECKS if not wanted or name in wanted]
        errors = pool.map(lambda one: _run_one(folder, server, *one), chosen)
        for (name, _), error in zip(chosen, errors):
            if error is None:
                passed += 1
                print("ok %s" % name, flush=True)
            else:
                failed += 1
                print("FAIL %s: %s" % (name, error), flush=True)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for server in Server.started:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)
    print("%d passed, %d failed" % (passed, failed), flush=True)
    return 0 if failed == 0 and passed > 0 else 1


def _run_one(folder, server, name, function):
    """The text of the failure, None when the check passed."""
    outcome = ["no end in %d s" % CHECK_DEADLINE_S]
    env = Env(folder, server, name)

    def call():
        try:
            function(env)
            outcome[0] = None
        except Exception as error:
            traceback.print_exc()
            outcome[0] = "%s: %s" % (type(error).__name__, error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(CHECK_DEADLINE_S)
    error = outcome[0]
    try:
        env.close()
    except Exception as cause:
        traceback.print_exc()
        error = error or "at the end: %s: %s" % (type(cause).__name__, cause)
    return error
