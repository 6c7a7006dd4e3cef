"""What Zooid refuses to start on: with the place, what is wrong and what to do, and without a change on disk."""

import hashlib
import os
import shutil
import subprocess

import wire
from harness import FLAGS, TESTDATA, ZOOID, Server, check, contains, free_port, require, same
from load import Load, seed, settle

PATIENCE_S = 30


def configure(folder, data, port, *lines):
    path = os.path.join(folder, "zoo.cfg")
    with open(path, "w") as file:
        file.write("tickTime=2000\ndataDir=%s\nclientPort=%d\nadmin.enableServer=false\n" % (data, port))
        file.writelines(line + "\n" for line in lines)
    return path


def refused(config, code, **options):
    """Starts a server that must give up by itself. Returns what it said."""
    done = run("serve", "--config", config, **options)
    same(done.returncode, code, "exit code (%s)" % done.stdout)
    return done.stdout


def run(*words, program=ZOOID, **options):
    options.setdefault("env", dict(os.environ, JVMFLAGS=FLAGS))
    return subprocess.run([program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=PATIENCE_S, **options)


def sums(folder):
    """Every file below a folder with its checksum, but for the lock."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if name != "zooid.lock":
                with open(path, "rb") as file:
                    found[path] = hashlib.sha256(file.read()).hexdigest()
    return found


def unchanged(folder, before, what):
    after = sums(folder)
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    same(changed, [], what + " that a refused start changed")


def written(folder, snap_count=100):
    """A data directory with several logs and snapshots, if they hold no more than some 100 transactions."""
    server = Server("zooid", os.path.join(folder, "writer"), "snapCount=%d" % snap_count, "preAllocSize=64",
                    "extendedTypesEnabled=true")
    settle(server)
    load = Load(server, seed())
    load.start()
    load.wait_for(600)
    load.stop()
    server.kill()
    return os.path.join(folder, "writer", "data")


def newest(data, kind):
    place = os.path.join(data, "version-2")
    names = [name for name in os.listdir(place) if name.startswith(kind + ".")]
    return [os.path.join(place, name) for name in sorted(names, key=lambda name: -int(name.split(".")[1], 16))]


@check
def damaged_directories_of_java(folder):
    cases = (("corrupt-crc-middle", "log.1", "at offset 3580"), ("corrupt-torn-sector", "log.1", "at offset 6527"),
             ("corrupt-zxid-gap", "log.1f", "at offset 16"))
    for name, file, offset in cases:
        place = os.path.join(folder, name)
        shutil.copytree(os.path.join(TESTDATA, name, "data"), os.path.join(place, "data"))
        before = sums(os.path.join(place, "data"))
        config = configure(place, os.path.join(place, "data"), free_port(), "extendedTypesEnabled=true")
        said = refused(config, 1)
        contains(said, os.path.join(place, "data", "version-2", file), offset, "restore", "backup")
        unchanged(os.path.join(place, "data"), before, "files of " + name)


@check
def damage_anywhere_in_a_log(folder):
    data = written(folder, snap_count=1_000_000)
    config = configure(folder, data, free_port(), "extendedTypesEnabled=true")
    # All of it is behind the newest snapshot, so all of it is needed; but the end may be unfinished.
    log = newest(data, "log")[0]
    with open(log, "rb") as file:
        whole = file.read()
    end = len(whole.rstrip(b"\0"))
    require(end > 20_000, "a short log: %d bytes" % end)
    damages = {
        "a flipped bit": whole[:end // 2] + bytes([whole[end // 2] ^ 4]) + whole[end // 2 + 1:],
        "a sector of zeros": whole[:end // 2] + bytes(100) + whole[end // 2 + 100:],
        "another file": b"<html>" + whole[6:],
    }
    for name, bytes_now in damages.items():
        with open(log, "wb") as file:
            file.write(bytes_now)
        before = sums(data)
        said = refused(config, 1)
        contains(said, log, "at offset", "restore")
        unchanged(data, before, "files behind " + name)
    with open(log, "wb") as file:
        file.write(whole)
    whole_again = Server("zooid", os.path.join(folder, "writer"), "extendedTypesEnabled=true")
    whole_again.kill()


@check
def a_missing_log(folder):
    data = written(folder)
    config = configure(folder, data, free_port(), "extendedTypesEnabled=true")
    # Only the first snapshot is left, so that all logs are needed, and one of them is gone.
    for snapshot in newest(data, "snapshot")[:-1]:
        os.remove(snapshot)
    lost = newest(data, "log")[1]
    os.remove(lost)
    # Not even this goes, of which nothing is lost.
    with open(os.path.join(data, "version-2", "zooid-unfinished.snapshot.1"), "wb") as file:
        file.write(b"half a snapshot")
    before = sums(data)
    contains(refused(config, 1), newest(data, "log")[0], "missing", "restore")
    unchanged(data, before, "files")


@check
def no_good_snapshot(folder):
    data = written(folder)
    config = configure(folder, data, free_port(), "extendedTypesEnabled=true")
    for snapshot in newest(data, "snapshot"):
        with open(snapshot, "r+b") as file:
            file.seek(200)
            byte = file.read(1)
            file.seek(200)
            file.write(bytes([byte[0] ^ 1]))
    before = sums(data)
    said = refused(config, 1)
    contains(said, *newest(data, "snapshot"), "restore")
    unchanged(data, before, "files")
    for snapshot in newest(data, "snapshot"):
        os.remove(snapshot)
    before = sums(data)
    contains(refused(config, 1), "snapshot.trust.empty=true")
    unchanged(data, before, "files")


@check
def ttl_nodes_without_their_switch(folder):
    data = os.path.join(folder, "data")
    shutil.copytree(os.path.join(TESTDATA, "standalone-all", "data"), data)
    before = sums(data)
    contains(refused(configure(folder, data, free_port()), 1), "extendedTypesEnabled")
    unchanged(data, before, "files")


@check
def two_servers_on_one_directory(folder):
    logs = os.path.join(folder, "logs")
    first = Server("zooid", os.path.join(folder, "first"), "dataLogDir=" + logs)
    data = os.path.join(folder, "first", "data")
    client = first.client()
    client.create("/held")
    # One of the two directories is enough.
    for lines in ((data, "dataLogDir=" + os.path.join(folder, "other-logs")),
                  (os.path.join(folder, "other"), "dataLogDir=" + logs)):
        said = refused(configure(folder, lines[0], free_port(), lines[1]), 3)
        contains(said, data if lines[0] == data else logs, "process %d" % first.pid)
    client.set("/held", b"still")
    first.kill()
    # The lock goes with its process.
    again = Server("zooid", os.path.join(folder, "first"), "dataLogDir=" + logs)
    same(again.client().get("/held"), b"still", "data")


@check
def read_only_directory(folder):
    data = os.path.join(folder, "data")
    shutil.copytree(os.path.join(TESTDATA, "standalone-all", "data"), data)
    config = configure(folder, data, free_port(), "extendedTypesEnabled=true")
    program, as_user = ZOOID, {}
    if os.getuid() == 0:
        # Nothing is read-only for root: another user starts a copy of the binary.
        program = os.path.join(folder, "zooid")
        shutil.copy(ZOOID, program)
        os.chmod(folder, 0o755)
        as_user = {"user": 65534, "group": 65534, "extra_groups": [], "cwd": "/"}
    places = [data, os.path.join(data, "version-2")]
    for place in places:
        os.chmod(place, 0o555)
    before = sums(data)
    done = run("serve", "--config", config, program=program, **as_user)
    for place in places:
        os.chmod(place, 0o755)
    require(done.returncode not in (0, -6, 101), "exit code %d: %s" % (done.returncode, done.stdout))
    contains(done.stdout, data, "not writable")
    unchanged(data, before, "files")


@check
def port_in_use(folder):
    first = Server("zooid", os.path.join(folder, "first"))
    data = os.path.join(folder, "second")
    said = refused(configure(folder, data, first.port), 1)
    contains(said, str(first.port), "in use", "clientPort")
    same(first.client().get("/zookeeper/config") is not None, True, "the first server goes on")


@check
def bad_configurations(folder):
    good = ["tickTime=2000", "dataDir=%s/data" % folder, "clientPort=%d" % free_port()]
    cases = (
        # The lines, the key, what was expected.
        ("tickTime=2s", "tickTime", "expected a whole number"),
        ("minSessionTimeout=20000\nmaxSessionTimeout=10000", "minSessionTimeout", "must not be larger"),
        ("autopurge.purgeInterval=x", "autopurge.purgeInterval", "expected a whole number"),
        ("clientPort=99999", "clientPort", "expected 0 to 65535"),
        ("server.1=x", "server.1", "expected host:quorumPort:electionPort"),
    )
    path = os.path.join(folder, "zoo.cfg")
    for line, key, expected in cases:
        with open(path, "w") as file:
            file.write("\n".join(good + line.splitlines()) + "\n")
        for words in (("serve", "--config", path), ("check-config", path)):
            done = run(*words)
            require(done.returncode == 2, "%s: exit code %d: %s" % (line, done.returncode, done.stdout))
            contains(done.stdout, path + ":4: " + key, expected)
    require(not os.path.exists(os.path.join(folder, "data")), "a refused configuration made a directory")
    done = run("serve", "--config", os.path.join(folder, "absent.cfg"))
    same(done.returncode, 2, "exit code without a file: " + done.stdout)
    contains(done.stdout, "absent.cfg")


@check
def a_key_that_is_not_known(folder):
    server = Server("zooid", os.path.join(folder, "server"), "snapCuont=100")
    contains(server.log(), "snapCuont", "snapCount")
    same(wire.word(server.port, "ruok"), "imok", "ruok")
