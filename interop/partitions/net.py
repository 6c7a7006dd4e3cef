"""One network: each member in a namespace of its own, joined by a bridge, and what goes wrong between them.

The bridge is in the namespace of the suite, which is where clients are: faults between members leave them alone."""

import re
import subprocess

from links import entrance

DRIVER = "10.77.0.254"
# Of `nft`, and of `tc -s`.
PACKETS = re.compile(r"counter packets (\d+)")
OVER = re.compile(r"overlimits (\d+)")


def command(*words, text=None):
    done = subprocess.run(words, input=text, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError("%s: %s%s" % (" ".join(words), done.stdout, done.stderr))
    return done.stdout


def prepare():
    """Once, in the namespaces of the suite."""
    # What is mounted and bound here must not be seen outside.
    command("mount", "--make-rprivate", "/")
    command("mkdir", "-p", "/run/netns")
    command("mount", "-t", "tmpfs", "netns", "/run/netns")
    # libfaketime leaves files there that are named by process numbers, which begin anew in each run of the suite.
    command("mount", "-t", "tmpfs", "shm", "/dev/shm")
    command("ip", "link", "set", "lo", "up")
    command("ip", "link", "add", "lan", "type", "bridge")
    command("ip", "address", "add", DRIVER + "/24", "dev", "lan")
    command("ip", "link", "set", "lan", "up")


class Network:
    """Namespaces `member-1` to `member-N` with addresses 10.77.0.1 to N."""

    def __init__(self, count):
        self.sids = range(1, count + 1)
        # What each member does with what comes in: lines of nft.
        self._rules = {sid: [] for sid in self.sids}
        self._narrow = set()
        for sid in self.sids:
            space, outer = self.space(sid), "veth%d" % sid
            command("ip", "netns", "add", space)
            command("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", space)
            command("ip", "link", "set", outer, "master", "lan", "up")
            for words in (("link", "set", "lo", "up"), ("address", "add", self.address(sid) + "/24", "dev", "eth0"),
                          ("link", "set", "eth0", "up")):
                command("ip", "-n", space, *words)
            self._nft(sid, "add table ip faults\n"
                           "add chain ip faults in { type filter hook input priority 0; }\n")

    @staticmethod
    def space(sid):
        return "member-%d" % sid

    @staticmethod
    def address(sid):
        return "10.77.0.%d" % sid

    def inside(self, sid, words):
        """A command line that runs in the namespace of a member; the process is that of the command itself."""
        return ["ip", "netns", "exec", self.space(sid)] + list(words)

    def drop(self, sender, receiver):
        """Nothing from the one reaches the other; the other way goes on."""
        self._rule(receiver, "ip saddr %s counter drop" % self.address(sender))

    def cut(self, one, other):
        self.drop(one, other)
        self.drop(other, one)

    def split(self, here):
        """Members on this side and the rest do not reach each other."""
        for one in here:
            for other in self.sids:
                if other not in here:
                    self.cut(one, other)

    def lose(self, receiver, percent, clients=False):
        """So many of the packets from other members, and from clients if wanted, are lost at random."""
        whom = "" if clients else "ip saddr != %s " % DRIVER
        self._rule(receiver, "%siifname eth0 numgen random mod 100 < %d counter drop" % (whom, percent))

    def narrow(self, sid, kbit):
        """What the member sends goes out at so many kbit/s."""
        command("ip", "netns", "exec", self.space(sid), "tc", "qdisc", "replace", "dev", "eth0", "root", "tbf",
                "rate", "%dkbit" % kbit, "burst", "8kb", "latency", "400ms")
        self._narrow.add(sid)

    def heal(self):
        """Ends all faults; returns how many packets they cost, None if there were none."""
        if not self._narrow and not any(self._rules.values()):
            return None
        lost = 0
        for sid in self.sids:
            if self._rules[sid]:
                lost += sum(map(int, PACKETS.findall(self._nft(sid, "list chain ip faults in\n"))))
                self._rules[sid] = []
                self._nft(sid, "flush chain ip faults in\n")
        for sid in self._narrow:
            tc = "ip", "netns", "exec", self.space(sid), "tc"
            # Those that had to wait count, too.
            lost += sum(map(int, OVER.findall(command(*tc, "-s", "qdisc", "show", "dev", "eth0"))))
            command(*tc, "qdisc", "del", "dev", "eth0", "root")
        self._narrow.clear()
        return lost

    def detour(self):
        """The addresses of `links.py`: what a member sends to another may go through the suite."""
        for one in self.sids:
            command("ip", "-n", self.space(one), "route", "add", "10.78.0.0/16", "via", DRIVER)
            for other in self.sids:
                if one != other:
                    command("ip", "address", "replace", entrance(one, other) + "/32", "dev", "lan")

    def remove(self):
        for sid in self.sids:
            # A namespace goes a moment later than its name, and a pair with it: not by itself, because the next ensemble
            # has the same names.
            command("ip", "link", "del", "veth%d" % sid)
            command("ip", "netns", "del", self.space(sid))

    def _rule(self, sid, rule):
        self._rules[sid].append(rule)
        self._nft(sid, "add rule ip faults in %s\n" % rule)

    def _nft(self, sid, text):
        return command("ip", "netns", "exec", self.space(sid), "nft", "-f", "-", text=text)
