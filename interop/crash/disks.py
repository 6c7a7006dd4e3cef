"""Disks that are full, read-only or somebody else's."""

import functools
import os
import shutil
import signal
import subprocess
import sys
import threading

import wire
from harness import ZOOID, check, contains, eventually, free_port, require, same

MIB = 1 << 20
DISK_MIB = 64
PATIENCE_S = 30


class Process:
    """A zooid of which the exit code is wanted."""

    running = []

    def __init__(self, folder, *lines, data=None, wrap=(), program=ZOOID):
        self.port = free_port()
        self.folder = folder
        config = os.path.join(folder, "zoo.cfg")
        with open(config, "w") as file:
            file.write("tickTime=2000\ndataDir=%s\nclientPort=%d\nadmin.enableServer=false\nmaxClientCnxns=0\n"
                       "4lw.commands.whitelist=*\n" % (data or os.path.join(folder, "data"), self.port))
            file.writelines(line + "\n" for line in lines)
        os.chmod(config, 0o644)
        with open(os.path.join(folder, "server.log"), "ab") as log:
            self.from_byte = log.tell()
            self.process = subprocess.Popen([*wrap, program, "serve", "--config", config], stdout=log,
                                            stderr=subprocess.STDOUT)
        Process.running.append(self.process)

    def said(self):
        with open(os.path.join(self.folder, "server.log"), "rb") as file:
            file.seek(self.from_byte)
            return file.read().decode(errors="replace")

    def wait_for_port(self):
        def answers():
            require(self.process.poll() is None, "the server ended: %s" % self.said())
            try:
                return b"version" in wire_word(self.port)
            except OSError:
                return False
        eventually(answers, "an answer to srvr")

    def end(self, how):
        self.process.send_signal(how)
        return self.process.wait(timeout=PATIENCE_S)

    def ended(self):
        """The exit code of a server that gives up by itself."""
        try:
            return self.process.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.end(signal.SIGKILL)
            raise AssertionError("the server goes on: %s" % self.said()) from None


def wire_word(port):
    import socket
    with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
        probe.sendall(b"srvr")
        got = b""
        while part := probe.recv(65536):
            got += part
        return got


def end_all():
    while Process.running:
        process = Process.running.pop()
        if process.poll() is None:
            process.kill()
            process.wait()


def zooid_only(function):
    @functools.wraps(function)
    def run(folder):
        try:
            function(folder)
        finally:
            end_all()
    run.zooid_only = True
    return run


class Disk:
    """A small file system of its own: ext4 on a loop device, or a tmpfs where that is not allowed."""

    def __init__(self, folder):
        self.at = os.path.join(folder, "disk")
        os.mkdir(self.at)
        image = os.path.join(folder, "image")
        with open(image, "wb") as file:
            file.truncate(DISK_MIB * MIB)
        self.kind = "ext4 on a loop device"
        made = subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], capture_output=True, check=False)
        if made.returncode or subprocess.run(["mount", "-o", "loop", image, self.at], capture_output=True,
                                             check=False).returncode:
            self.kind = "tmpfs"
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % DISK_MIB, "tmpfs", self.at], check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_all()
        # A process that has just ended may hold it for a moment.
        eventually(lambda: subprocess.run(["umount", self.at], capture_output=True).returncode == 0, "umount")

    def fill(self, leave=0):
        """Takes all that is free but for `leave` bytes."""
        path = os.path.join(self.at, "filler")
        with open(path, "ab") as file:
            try:
                while True:
                    file.write(bytes(4096))
                    file.flush()
            except OSError:
                pass
        if leave:
            os.truncate(path, os.path.getsize(path) - leave)
        os.sync()

    def unfill(self):
        os.remove(os.path.join(self.at, "filler"))
        os.sync()


@check
@zooid_only
def full_disk(folder):
    with Disk(folder) as disk:
        print("# full disk: %s of %d MiB" % (disk.kind, DISK_MIB), file=sys.stderr)
        data = os.path.join(disk.at, "data")
        process = Process(folder, "preAllocSize=64", "snapCount=1000000", data=data)
        process.wait_for_port()
        eventually(lambda: "the disk is getting full" in process.said(), "a warning below the bound of free space")
        reserve = os.path.join(data, "zooid.reserve")
        same(os.stat(reserve).st_blocks * 512 >= 8 * MIB, True, "the reserve is allocated")

        writers = [wire.Client(process.port) for _ in range(3)]
        acked = [0] * len(writers)
        for at, writer in enumerate(writers):
            writer.create("/f%d" % at, b"0")

        def write(at):
            try:
                while True:
                    writers[at].set("/f%d" % at, b"%d " % (acked[at] + 1) + bytes(100_000))
                    acked[at] += 1
            except wire.Gone:
                pass

        threads = [threading.Thread(target=write, args=(at,)) for at in range(len(writers))]
        for thread in threads:
            thread.start()
        code = process.ended()
        for thread in threads:
            thread.join(timeout=PATIENCE_S)
            require(not thread.is_alive(), "a client hangs behind the end of its server")
        require(code == 1, "exit code %d on a full disk" % code)
        contains(process.said(), "No space left on device", os.path.join(data, "version-2", "log."), "is full",
                 "bytes are free")
        require(not os.path.exists(reserve), "the reserve is not given up")
        require(min(acked) > 0, "nothing was acknowledged before the disk was full")

        # Nothing but the reserve is free, and a start has to do with it: the operator gets in.
        process = Process(folder, "preAllocSize=64", data=data)
        process.wait_for_port()
        there(process.port, acked)
        client = wire.Client(process.port)
        client.call(wire.DELETE, wire.versioned("/f0"))
        same(process.end(signal.SIGTERM), 0, "exit code of an orderly stop")

        disk.fill()
        process = Process(folder, "preAllocSize=64", data=data)
        code = process.ended()
        require(code not in (0, None), "a start on a full disk ends with %s" % code)
        contains(process.said(), "is full", "bytes are free", data)
        disk.unfill()
        process = Process(folder, "preAllocSize=64", data=data)
        process.wait_for_port()
        there(process.port, [None] + acked[1:])
        same(process.end(signal.SIGTERM), 0, "exit code of an orderly stop")


def there(port, acked):
    client = wire.Client(port)
    for at, count in enumerate(acked):
        if count is None:
            reply = client.pipeline([(wire.EXISTS, wire.reading("/f%d" % at))])[0]
            same(reply.code, -101, "a deleted node")
        else:
            found = int(client.get("/f%d" % at).split()[0])
            require(count <= found <= count + 1, "/f%d: %d acknowledged, %d found" % (at, count, found))
    client.close()


@check
@zooid_only
def read_only_disk(folder):
    with Disk(folder) as disk:
        data = os.path.join(disk.at, "data")
        process = Process(folder, data=data)
        process.wait_for_port()
        client = wire.Client(process.port)
        client.create("/a", b"1")
        same(process.end(signal.SIGTERM), 0, "exit code of an orderly stop")
        subprocess.run(["mount", "-o", "remount,ro", disk.at], check=True)
        process = Process(folder, data=data)
        same(process.ended(), 3, "exit code on a read-only disk")
        contains(process.said(), data, "Read-only file system")
        # Looking is allowed.
        done = subprocess.run([ZOOID, "verify", data], capture_output=True, text=True)
        require(done.returncode == 0 and "would start" in done.stdout, "zooid verify: %s" % done.stdout)


@check
@zooid_only
def read_only_while_serving(folder):
    """The kernel makes a disk read-only when it fails: no write is acknowledged behind that moment."""
    with Disk(folder) as disk:
        data = os.path.join(disk.at, "data")
        process = Process(folder, "preAllocSize=64", data=data)
        process.wait_for_port()
        client = wire.Client(process.port)
        client.create("/a", b"1")
        # Not remounted, that waits for writers: the emergency read-only of a broken disk.
        if disk.kind.startswith("tmpfs"):
            process.end(signal.SIGKILL)
            return
        device = subprocess.run(["findmnt", "-n", "-o", "SOURCE", disk.at], capture_output=True, text=True)
        done = subprocess.run(["mount", "-o", "remount,abort", disk.at], capture_output=True, text=True)
        require(done.returncode == 0, "mount -o remount,abort of %s: %s" % (device.stdout.strip(), done.stderr))
        try:
            client.set("/a", b"2")
            raise AssertionError("a write was acknowledged on a disk that takes none")
        except wire.Gone:
            pass
        same(process.ended(), 1, "exit code")
        contains(process.said(), os.path.join(data, "version-2", "log."), "cannot ")


@check
@zooid_only
def wrong_owner(folder):
    if os.getuid() != 0:
        return
    data = os.path.join(folder, "data")
    process = Process(folder, data=data)
    process.wait_for_port()
    same(process.end(signal.SIGTERM), 0, "exit code of an orderly stop")
    os.chmod(folder, 0o755)
    # Where the suite's binary is, another user may not get.
    program = os.path.join(folder, "zooid")
    shutil.copy(ZOOID, program)
    wrap = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    process = Process(folder, data=data, wrap=wrap, program=program)
    same(process.ended(), 3, "exit code in a directory of somebody else")
    contains(process.said(), data, "Permission denied")
    # Files that cannot be read are no files that are not there.
    os.chmod(data, 0o777)
    os.chmod(os.path.join(data, "zooid.lock"), 0o666)
    os.chmod(os.path.join(data, "version-2"), 0o700)
    process = Process(folder, data=data, wrap=wrap, program=program)
    require(process.ended() not in (0, None), "serves a directory that it cannot read")
    contains(process.said(), "version-2", "Permission denied")


@check
@zooid_only
def two_servers_on_one_directory(folder):
    data = os.path.join(folder, "data")
    first = Process(folder, data=data)
    first.wait_for_port()
    other = os.path.join(folder, "other")
    os.mkdir(other)
    second = Process(other, data=data)
    same(second.ended(), 3, "exit code of the second server")
    contains(second.said(), "process %d" % first.process.pid, data)
    client = wire.Client(first.port)
    client.create("/a", b"1")
    same(first.end(signal.SIGKILL), -signal.SIGKILL, "exit code")
    # A lock that a killed server left is none.
    third = Process(other, data=data)
    third.wait_for_port()
    same(wire.Client(third.port).get("/a"), b"1", "a node")
    third.end(signal.SIGKILL)


@check
@zooid_only
def what_a_crash_left_is_removed(folder):
    inner = os.path.join(folder, "data", "version-2")
    os.makedirs(inner)
    process = Process(folder)
    process.wait_for_port()
    process.end(signal.SIGKILL)
    left = os.path.join(inner, "zooid-unfinished.snapshot.77")
    with open(left, "wb") as file:
        file.write(b"half")
    process = Process(folder)
    process.wait_for_port()
    require(not os.path.exists(left), "%s stays" % left)
    process.end(signal.SIGKILL)


