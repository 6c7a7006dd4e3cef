"""What an answer says, without what differs from run to run: times, ports, session ids, sizes."""

import calendar
import os
import re
import time

DOUBLE = r"\d+\.\d+(E-?\d+)?"
DATE = r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d [A-Z][A-Za-z+\-0-9]* \d{4}"


def same(form, text):
    assert re.fullmatch(form, text), "%r has not the form %s" % (text, form)


def srvr(server):
    return state(server.ask("srvr"))


def state(text):
    """The lines of srvr, the latencies by their form."""
    lines = text.split("\n")
    assert lines.pop() == "", "no line end at the end of %r" % text
    latency = [line for line in lines if line.startswith("Latency")]
    same(r"Latency min/avg/max: \d+/%s/\d+" % DOUBLE, latency[0])
    return tuple(line for line in lines if line not in latency), lines.index(latency[0])


def stat(server):
    version, rest = server.ask("stat").split("\nClients:\n")
    clients, body = rest.split("\n\n")
    clients = connections(server, clients.split("\n"))
    return version, tuple(sorted(clients)), state(body)


TIMES = ("est", "lresp", "llat", "minlat", "avglat", "maxlat")


def connections(server, lines, times=TIMES):
    """Lines of cons or stat, the times by their form."""
    views = []
    for line in lines:
        line = server.nameless(line)
        line = re.sub(r"^ /127\.0\.0\.1:\d+\[", " /somebody[", line)
        same(r" /\w+\[\d\]\(\w+=[^,()]*(,\w+=[^,()]*)*\)", line)
        for field in times:
            line = re.sub(r"\b%s=\d+" % field, "%s=number" % field, line)
        views.append(line)
    return views


def cons(server, times=TIMES):
    text = server.ask("cons")
    assert text.endswith("\n\n"), "no empty line at the end of %r" % text
    return tuple(sorted(connections(server, text[:-2].split("\n"), times)))


def conf(server):
    text = server.nameless(server.ask("conf")).replace(server.folder, "FOLDER").replace(str(server.port), "PORT")
    return re.sub(r"(Size=)%d\b" % stored(server), r"\1SUM", text)


def dirs(server):
    return re.sub(r" %d\b" % stored(server), " SUM", server.ask("dirs"))


def stored(server):
    """Bytes of all files of a server's data."""
    top = os.path.join(server.folder, "data", "version-2")
    return sum(os.path.getsize(os.path.join(place, name)) for place, _, names in os.walk(top) for name in names)


SAME_IN_ENVI = ("zookeeper.version", "os.name", "os.arch", "os.version", "user.name", "user.home", "user.dir")


def envi(server):
    """All keys in order, and the values that the machine gives."""
    title, *lines = server.ask("envi").split("\n")
    assert lines.pop() == "", "no line end at the end"
    pairs = [line.split("=", 1) for line in lines]
    return title, tuple((key, value if key in SAME_IN_ENVI else "") for key, value in pairs)


def watches_by_key(server, word):
    """wchc or wchp as a set of pairs."""
    text = server.nameless(server.ask(word))
    assert text.endswith("\n"), "no line end at the end of %r" % text
    lines = text[:-1].split("\n")
    assert lines.pop() == "", "no empty line at the end of %r" % text
    pairs, key = set(), None
    for line in lines:
        if line.startswith("\t"):
            pairs.add((key, line[1:]))
        else:
            key = line
    return frozenset(pairs)


def dump(server):
    """The sections of dump, the elements without the times of their end; the times must make sense."""
    lines = server.nameless(server.ask("dump")).split("\n")
    assert lines.pop() == "", "no line end at the end"
    lines = [re.sub(r"ip: /127\.0\.0\.1:\d+ ", "ip: /somebody ", line) for line in lines]
    title, connections_title = lines.index("ephemeral nodes dump:"), lines.index("Connections dump:")
    assert lines[0] == "SessionTracker dump:", lines[0]
    sessions = expiring(lines[1:title], "Session Sets")
    same(r"Sessions with Ephemerals \(\d+\):", lines[title + 1])
    ephemerals, owner = set(), None
    for line in lines[title + 2:connections_title]:
        if line.startswith("\t"):
            ephemerals.add((owner, line[1:]))
        else:
            same(r"\w+:", line)
            owner = line[:-1]
    return lines[title + 1], sessions, frozenset(ephemerals), expiring(lines[connections_title + 1:], "Connections Sets")


def expiring(lines, title):
    """Elements by bucket, without the dates."""
    head = re.fullmatch(r"%s \((\d+)\)/\((\d+)\):" % title, lines[0])
    assert head, "%r is no head of %s" % (lines[0], title)
    elements, dates, expected = [], [], 0
    for line in lines[1:]:
        bucket = re.fullmatch(r"(\d+) expire at (%s):" % DATE, line)
        if bucket:
            dates.append(seconds(bucket[2]))
            expected += int(bucket[1])
            continue
        assert line.startswith("\t"), line
        elements.append(line[1:])
        assert len(elements) <= expected, "more elements than the bucket of %r says" % line
    assert (int(head[1]), int(head[2])) == (len(dates), len(elements)), "%r above %r" % (lines[0], lines[1:])
    assert dates == sorted(dates), "buckets out of order: %r" % lines
    now = time.time()
    assert all(now - 10 < date < now + 70 for date in dates), "a bucket far from now: %r" % lines
    return tuple(sorted(elements))


def seconds(date):
    """A date of Java in the zone of this machine, as seconds since 1970."""
    words = date.split()
    zone = words.pop(4)
    parsed = time.strptime(" ".join(words), "%a %b %d %H:%M:%S %Y")
    return calendar.timegm(parsed) if zone in ("UTC", "GMT") else time.mktime(parsed)


def mntr(server):
    """All keys with their values as text."""
    text = server.ask("mntr")
    assert text.endswith("\n"), "no line end at the end"
    pairs = [line.split("\t") for line in text[:-1].split("\n")]
    assert all(len(pair) == 2 for pair in pairs), "a line is no key and value: %r" % pairs
    assert len({key for key, _ in pairs}) == len(pairs), "a key comes twice"
    assert [key for key, _ in pairs[:2]] == ["zk_version", "zk_server_state"], pairs[:2]
    return dict(pairs)
