"""Data of a member that cannot be: it refuses to start, says what is wrong and what to do, and changes nothing. The others
go on, and with its own data back it is one of them again."""

import hashlib
import os
import shutil
import struct
import subprocess
import zlib

from members import DEADLINE_S, ZOOID, eventually, require, same, wire

CHECKS = []

TAMPERED = b"what an operator wrote", b"what somebody wrote in"


def check(function):
    CHECKS.append((function.__name__.replace("_", "-"), function))
    return function


def files(member, prefix):
    """Paths of its logs or snapshots, oldest first."""
    folder = os.path.join(member.data, "version-2")
    found = [name for name in os.listdir(folder) if name.startswith(prefix)]
    return [os.path.join(folder, name) for name in sorted(found, key=lambda name: int(name.split(".")[1], 16))]


def epoch(member, name, value=None):
    """What an epoch file says; writes it, too."""
    path = os.path.join(member.data, "version-2", name)
    with open(path) as file:
        before = int(file.read())
    if value is not None:
        with open(path, "w") as file:
            file.write(str(value))
    return before


def promised_less(member):
    current = epoch(member, "currentEpoch")
    epoch(member, "acceptedEpoch", current - 1)
    return ["acceptedEpoch", "epoch %d" % (current - 1), "epoch %d" % current, "leader"]


def other_epochs(member):
    """Both epochs are older than the data."""
    current = epoch(member, "currentEpoch", 0)
    epoch(member, "acceptedEpoch", 0)
    return ["currentEpoch", "epoch 0", "epoch %d" % current, "leader"]


def no_epoch(member):
    with open(os.path.join(member.data, "version-2", "currentEpoch"), "w") as file:
        file.write("three")
    return ["currentEpoch", "three", "leader"]


def a_hole(member):
    """All logs are needed, as only the first snapshot is left, and one of them is gone."""
    for snapshot in files(member, "snapshot.")[1:]:
        os.remove(snapshot)
    logs = files(member, "log.")
    require(len(logs) > 2, "logs of %r: %s" % (member, logs))
    os.remove(logs[-2])
    return [logs[-1], "missing", "restore"]


def entries(log):
    """(offset, payload) of each."""
    with open(log, "rb") as file:
        data = file.read()
    at = 16
    while at + 12 <= len(data):
        length = struct.unpack(">i", data[at + 8:at + 12])[0]
        if length <= 0:
            return
        yield at, data[at + 12:at + 12 + length]
        at += 12 + length + 1


def another_digest(member):
    """The last transaction says something else, with a checksum that fits."""
    found = [(log, at, payload) for log in files(member, "log.") for at, payload in entries(log) if TAMPERED[0] in payload]
    require(found, "the transaction in the logs of %r" % member)
    log, at, payload = found[-1]
    for snapshot in files(member, "snapshot."):
        # The transaction must be one that is replayed.
        if int(snapshot.rpartition(".")[2], 16) >= int(log.rpartition(".")[2], 16):
            os.remove(snapshot)
    payload = payload.replace(*TAMPERED)
    with open(log, "r+b") as file:
        file.seek(at)
        file.write(struct.pack(">qi", zlib.adler32(payload), len(payload)) + payload)
    return [member.data, "digest", "zookeeper.digest.enabled=false"]


def sums(folder):
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            if name != "zooid.lock":
                with open(os.path.join(place, name), "rb") as file:
                    found[os.path.join(place, name)] = hashlib.sha256(file.read()).hexdigest()
    return found


@check
def impossible_data(ensemble):
    leader = ensemble.leader()
    member = ensemble.followers()[0]
    client = leader.client()
    path = "/impossible-%x" % client.id
    client.create(path, b"")
    begin = leader.zxid()

    def several_logs():
        # A new one begins with a snapshot, and writes may be faster.
        client.pipeline([(wire.SET, wire.set_data(path, b"%d" % at)) for at in range(100)])
        return sum(int(log.rpartition(".")[2], 16) > begin for log in files(member, "log.")) > 2
    eventually(several_logs, "several logs of %r" % member)
    client.set(path, TAMPERED[0])
    ensemble.level()
    # No transaction of another session behind it on this member.
    member.stop()
    whole = member.data + ".whole"
    shutil.copytree(member.data, whole)
    for damage in (promised_less, other_epochs, no_epoch, a_hole, another_digest):
        expected = damage(member)
        before = sums(member.data)
        done = subprocess.run([ZOOID, "serve", "--config", member.config], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_S)
        same(done.returncode, 1, "how %r ended with %s: %s" % (member, damage.__name__, done.stdout))
        for words in expected:
            require(words in done.stdout, "%s is not in what is said of %s: %s" % (words, damage.__name__, done.stdout))
        after = sums(member.data)
        changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
        same(changed, [], "files that the refused start changed (%s)" % damage.__name__)
        client.set(path, b"on")
        shutil.rmtree(member.data)
        shutil.copytree(whole, member.data)
    shutil.rmtree(whole)
    client.close()
    ensemble.start(member)
    ensemble.whole()
