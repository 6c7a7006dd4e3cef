"""Runs every check; names of checks as arguments run only those.

A check takes the pair of servers and compares what they answer. It passes when it returns."""

import re
import signal
import socket
import struct
import sys
import traceback

import views
import zk
from servers import KIND, Pair
from zk import BODY

CHECKS = []


def check(function):
    CHECKS.append((function.__name__.replace("_", "-"), None, function))
    return function


def check_with(*lines, flags=""):
    """A check with a configuration of its own."""
    def register(function):
        CHECKS.append((function.__name__.replace("_", "-"), (lines, flags), function))
        return function
    return register


def each(pair, act):
    """Does the same with both servers, the oracle first."""
    for server in pair.servers:
        act(server)


@check
def ruok_and_isro(pair):
    assert pair.both(lambda s: s.ask("ruok")) == "imok"
    assert pair.both(lambda s: s.ask("isro")) == "rw"


@check
def whatever_follows_a_word_is_ignored(pair):
    for rest in (b"\n", b"\r\n", b" srvr", b"\0" * 100, b"x" * 5000):
        assert pair.both(lambda s: s.ask("ruok", rest)) == "imok", rest


@check
def a_client_may_close_its_side_at_once(pair):
    assert pair.both(lambda s: s.ask("ruok", half_close=True)) == "imok"
    assert pair.both(lambda s: s.ask("ruok", b"\n", half_close=True)) == "imok"
    pair.both(lambda s: len(s.ask("mntr", half_close=True)) > 5000)
    pair.both(lambda s: s.ask("isro", half_close=True))


@check
def a_word_may_come_in_pieces(pair):
    def slowly(server):
        with socket.create_connection(("127.0.0.1", server.port), timeout=zk.DEADLINE_S) as probe:
            probe.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for letter in b"ruok":
                probe.sendall(bytes([letter]))
                # The next letter must not travel with this one: wait until it is acknowledged.
                while struct.unpack("I", probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[24:28])[0]:
                    pass
            return probe.recv(100), probe.recv(100)
    assert pair.both(slowly) == (b"imok", b"")


@check
def unknown_words_are_closed_without_an_answer(pair):
    for word in ("abcd", "RUOK", "ruoK", "ruo\n", "help", "quit", "GET "):
        assert pair.both(lambda s: s.ask(word)) == "", word


@check
def the_close_of_telnet_has_no_answer(pair):
    assert pair.both(lambda s: zk.answer(s.port, b"\xff\xf4\xff\xfd")) == b""


@check
def behind_a_session_a_word_is_no_word(pair):
    def late(server):
        session = server.session("A")
        session.socket.sendall(b"ruok")
        return session.socket.recv(100)
    assert pair.both(late) == b""


@check
def trace_mask(pair):
    assert pair.both(lambda s: s.ask("gtmk")) == "306"
    for mask in (256, 0, -1, 2 ** 62, 306):
        assert pair.both(lambda s: s.ask("stmk", struct.pack(">q", mask))) == str(mask)
        assert pair.both(lambda s: s.ask("gtmk")) == str(mask)
    assert pair.both(lambda s: s.ask("stmk", struct.pack(">q", 7) + b"more", half_close=True)) == "7"
    assert pair.both(lambda s: s.ask("stmk", b"\0" * 7)) == ""
    assert pair.both(lambda s: s.ask("gtmk")) == "7"


@check
def srvr_counts_nodes_packets_and_connections(pair):
    def prepare(server):
        server.ask("srst")
        session = server.session("A")
        server.session("B")
        for number in range(3):
            session.create("/srvr%d" % number, b"x" * number, flags=number % 2)
        for _ in range(4):
            session.ping()
        session.do(zk.GET_DATA, BODY.str("/srvr1").bool(True))
        session.do(zk.DELETE, BODY.str("/srvr1").int(-1))
    each(pair, prepare)
    lines, _ = pair.agree(views.srvr)
    for line in ("Connections: 3", "Mode: standalone", "Outstanding: 0"):
        assert line in lines, lines
    pair.agree(views.stat)


@check
def srst_starts_from_zero(pair):
    each(pair, lambda s: s.session("A").ping())
    assert pair.both(lambda s: s.ask("srst")) == "Server stats reset.\n"
    text = pair.both(lambda s: s.ask("srvr"))
    assert "\nLatency min/avg/max: 0/0.0/0\nReceived: 1\nSent: 1\n" in text, text


@check
def an_answer_counts_as_packets_of_8192_characters(pair):
    def sent(server, word, rest=b""):
        server.ask("srst")
        length = len(server.ask(word, rest))
        numbers = dict(re.findall(r"^(Received|Sent): (\d+)$", server.ask("srvr"), re.M))
        return -(-length // 8192), int(numbers["Received"]), int(numbers["Sent"])
    for word, rest in (("ruok", b"\n"), ("conf", b""), ("mntr", b""), ("stmk", b""), ("abcd", b"")):
        for server in pair.servers:
            packets, received, sent_packets = sent(server, word, rest)
            assert sent_packets == 1 + packets, (server.kind, word, packets, sent_packets)
            # What is no word is no packet; the other is srvr itself.
            assert received == (1 if word == "abcd" else 2), (server.kind, word, received)


def operations(name):
    """Requests of all kinds below a node, each with its name in cons."""
    path = "/" + name
    everything = BODY.str(path).world().int(-1)
    empty_multi = BODY.int(-1).bool(True).int(-1)
    return [
        ("CREA", zk.CREATE, zk.create_body(path, b"data")),
        ("CREA", zk.CREATE2, zk.create_body(path + "/two")),
        ("CREA", zk.CREATE_CONTAINER, zk.create_body(path + "/container", flags=4)),
        ("CREA", zk.CREATE, zk.create_body(path + "/ephemeral", flags=1)),
        ("GETD", zk.GET_DATA, BODY.str(path).bool(True)),
        ("EXIS", zk.EXISTS, BODY.str(path + "/none").bool(True)),
        ("GETC", zk.GET_CHILDREN, BODY.str(path).bool(True)),
        ("GETC", zk.GET_CHILDREN2, BODY.str(path).bool(False)),
        ("GETACN", zk.GET_ALL_CHILDREN_NUMBER, BODY.str(path)),
        ("GETE", zk.GET_EPHEMERALS, BODY.str("/")),
        ("GETA", zk.GET_ACL, BODY.str(path)),
        ("SETA", zk.SET_ACL, everything),
        ("SYNC", zk.SYNC, BODY.str(path)),
        ("HOMI", zk.WHO_AM_I, BODY),
        ("CHKW", zk.CHECK_WATCHES, BODY.str(path).int(3)),
        ("REMW", zk.REMOVE_WATCHES, BODY.str(path).int(2)),
        ("ADDW", zk.ADD_WATCH, BODY.str(path).int(1)),
        ("SETW", zk.SET_WATCHES, BODY.long(1 << 40).int(0).int(0).int(0)),
        ("STW2", zk.SET_WATCHES2, BODY.long(1 << 40).int(0).int(0).int(0).int(0).int(0)),
        ("SETD", zk.SET_DATA, BODY.str(path).buffer(b"more").int(-1)),
        ("MULT", zk.MULTI, empty_multi),
        ("MLTR", zk.MULTI_READ, empty_multi),
        ("EXIS", zk.EXISTS, BODY.str(path + "/none").bool(False)),
        ("DELE", zk.DELETE, BODY.str(path + "/two").int(-1)),
    ]


@check
def cons_names_every_operation(pair):
    each(pair, lambda s: s.session("A"))
    everything_but_shortest = [field for field in views.TIMES if field != "minlat"]
    shown = pair.agree(lambda s: views.cons(s, everything_but_shortest))
    assert any("lop=SESS" in line and "minlat=0" in line for line in shown), shown
    for name, op, body in operations("cons"):
        each(pair, lambda s: s.clients["A"].exchange(op, body))
        shown = pair.agree(lambda s: views.cons(s, everything_but_shortest))
        assert any(",lop=%s," % name in line for line in shown), (name, shown)
    each(pair, lambda s: s.clients["A"].ping())
    shown = pair.agree(lambda s: views.cons(s, everything_but_shortest))
    # A ping has a number that is not the client's own.
    assert any("lop=PING" in line and "lcxid=0x%x," % len(operations("")) in line for line in shown), shown


@check
def cons_shows_no_operation_for_a_failed_write(pair):
    each(pair, lambda s: s.session("A"))
    nothing = BODY.str("/none").int(-1)
    failing = BODY.int(zk.DELETE).bool(False).int(-1) + nothing
    for name, op, body in (("NA", zk.DELETE, nothing), ("NA", zk.CREATE, zk.create_body("/")),
                           ("EXIS", zk.EXISTS, BODY.str("/none").bool(False)),
                           ("MULT", zk.MULTI, zk.Text(failing).int(-1).bool(True).int(-1))):
        each(pair, lambda s: s.clients["A"].exchange(op, body))
        shown = pair.agree(views.cons)
        assert any(",lop=%s," % name in line for line in shown), (name, shown)


@check
def a_session_that_moved_and_refusals_are_counted(pair):
    def prepare(server):
        server.ask("srst")
        before = server.session("A")
        before.ping()
        after = server.session("A", session=before.id, password=before.password)
        refused = zk.Session(server.port, session=before.id ^ 0xfff, password=b"x" * 16)
        assert refused.id == 0, refused.id
        refused.drop()
        auth = 100
        assert after.exchange(auth, BODY.int(0).str("digest").buffer(b"a:b"), xid=-4)[0] == 0
        stranger = server.session("B")
        assert stranger.exchange(auth, BODY.int(0).str("nope").buffer(b"a:b"), xid=-4)[0] == -115
        server.clients.pop("B").drop()
        lost = server.session("C")
        assert lost.exchange(1000)[0] == -6
        server.clients.pop("C").drop()
    each(pair, prepare)
    shown = pair.agree(lambda s: views.cons(s, ["est"]))
    assert any("lop=null" in line and "recved=2,sent=2" in line for line in shown), shown
    pair.agree(views.srvr)
    # Failures to authenticate are those of TLS and SASL.
    keys = ["zk_bytes_received_count", "zk_connection_request_count", "zk_connection_revalidate_count",
            "zk_cnt_readlatency", "zk_cnt_updatelatency", "zk_auth_failed_count"]
    numbers = pair.agree(lambda s: [int(views.mntr(s)[key]) for key in keys])
    assert all(numbers[:-1]) and numbers[-1] == 0, numbers


@check
def crst_forgets_what_connections_did(pair):
    def prepare(server):
        server.session("A").ping()
        server.session("B").create("/crst")
    each(pair, prepare)
    pair.agree(views.cons)
    assert pair.both(lambda s: s.ask("crst")) == "Connection stats reset.\n"
    shown = pair.agree(lambda s: views.cons(s, ["est"]))
    reset = "(queued=0,recved=0,sent=0,sid=A,lop=NA,est=number,to=40000,lzxid=0xffffffffffffffff,lresp=0,llat=0,minlat=0,avglat=0,maxlat=0)"
    assert " /A[1]" + reset in shown, shown
    each(pair, lambda s: s.clients["A"].ping())
    shown = pair.agree(views.cons)
    assert not any("/A[" in line and "lcxid" in line for line in shown), shown


@check
def conf_and_dirs(pair):
    each(pair, lambda s: s.session("A").create("/conf"))
    shown = pair.agree(views.conf)
    assert "dataDir=FOLDER/data/version-2\ndataDirSize=SUM\n" in shown, shown
    assert pair.agree(views.dirs) == "datadir_size: SUM\nlogdir_size: SUM\n"


@check_with("dataLogDir=FOLDER/logs", "maxClientCnxns=17", "minSessionTimeout=1000", "maxSessionTimeout=90000",
            "clientPortListenBacklog=30", "tickTime=1500")
def conf_shows_what_the_file_says(pair):
    def view(server):
        text = server.ask("conf").replace(server.folder, "FOLDER")
        return re.sub(r"(Size|clientPort)=\d+", r"\1=number", text)
    shown = pair.agree(view)
    for line in ("dataLogDir=FOLDER/logs/version-2", "maxClientCnxns=17", "minSessionTimeout=1000",
                 "maxSessionTimeout=90000", "clientPortListenBacklog=30", "tickTime=1500"):
        assert line in shown.split("\n"), shown


@check
def envi(pair):
    title, pairs = pair.agree(views.envi)
    assert title == "Environment:" and len(pairs) == 18, pairs


@check
def watches(pair):
    for word in ("wchs", "wchc", "wchp"):
        pair.both(lambda s: s.ask(word))

    def prepare(server):
        first, second = server.session("A"), server.session("B")
        first.create("/watched")
        first.do(zk.GET_DATA, BODY.str("/watched").bool(True))
        first.exchange(zk.EXISTS, BODY.str("/missing").bool(True))
        first.do(zk.GET_CHILDREN, BODY.str("/watched").bool(True))
        first.watch("/persistent", 0)
        second.watch("/persistent", 0)
        second.watch("/recursive", 1)
        second.do(zk.GET_CHILDREN, BODY.str("/").bool(True))
    each(pair, prepare)
    # Five of data; children are left out, but for mntr.
    assert pair.both(lambda s: s.ask("wchs")) == "2 connections watching 4 paths\nTotal watches:5\n"
    assert len(pair.agree(lambda s: views.watches_by_key(s, "wchc"))) == 5
    assert len(pair.agree(lambda s: views.watches_by_key(s, "wchp"))) == 5
    pair.both(lambda s: views.mntr(s)["zk_watch_count"])

    def fire(server):
        server.clients["A"].do(zk.SET_DATA, BODY.str("/watched").buffer(b"x").int(-1))
        server.clients["A"].await_events(1)
        server.clients.pop("B").close()
    each(pair, fire)
    pair.agree(lambda s: s.ask("wchs"))
    assert len(pair.agree(lambda s: views.watches_by_key(s, "wchc"))) == 2
    assert len(pair.agree(lambda s: views.watches_by_key(s, "wchp"))) == 2


@check_with()
def dump(pair):
    pair.agree(views.dump)

    def prepare(server):
        first = server.session("A", 5000)
        second = server.session("B", 12000)
        server.session("C", 40000)
        for name in ("/dump1", "/dump2"):
            first.create(name, flags=1)
        second.create("/dump3", flags=1)
        socket.create_connection(("127.0.0.1", server.port)).close()
    each(pair, prepare)
    title, sessions, ephemerals, _ = pair.agree(views.dump)
    assert title == "Sessions with Ephemerals (2):", title
    assert sessions == ("A", "B", "C"), sessions
    assert ephemerals == {("A", "/dump1"), ("A", "/dump2"), ("B", "/dump3")}, ephemerals
    each(pair, lambda s: s.clients.pop("A").close())
    title, sessions, ephemerals, _ = pair.agree(views.dump)
    assert (title, sessions) == ("Sessions with Ephemerals (1):", ("B", "C")), (title, sessions)


@check_with()
def hash_shows_every_128th_transaction(pair):
    assert pair.both(lambda s: s.ask("hash")) == ""

    def prepare(server):
        session = server.session("A")
        for number in range(300):
            session.create("/hash%d" % number)
    each(pair, prepare)

    def view(server):
        lines = server.ask("hash").split("\n")
        assert lines.pop() == "", "no line end at the end"
        for line in lines:
            views.same(r"[0-9a-f]+: -?\d+", line)
        return [line.split(":")[0] for line in lines]
    assert pair.agree(view) == ["80", "100"]


NOT_MEASURED = []
"""Metrics of Apache ZooKeeper that Zooid does not have. Sets by namespace are left out by their ending."""

MEASURED_OTHERWISE = """
    version avg_latency min_latency max_latency readlatency updatelatency packets_sent uptime open_file_descriptor_count
    response_packet_cache_misses response_packet_get_children_cache_misses request_throttle_queue_time_ms
    fsynctime snapshottime dbinittime sync_processor_request_queued sync_processor_queue_size
    sync_processor_batch_size sync_processor_queue_time_ms sync_processor_queue_flush_time_ms
    sync_processor_queue_and_flush_time_ms propagation_latency last_client_response_size max_client_response_size
    min_client_response_size response_bytes watch_bytes outstanding_changes_queued outstanding_changes_removed
    prep_processor_request_queued close_session_prep_time prep_process_time prep_processor_queue_size
    prep_processor_queue_time_ms proposal_process_time startup_snap_load_time startup_txns_load_time startup_txns_loaded
    sync_process_time
""".split()
"""Metrics that are times, or that say something about the inside, which is another. Their form is compared."""


def metric(key):
    """The name of a metric without what mntr puts before it."""
    return re.sub(r"^zk_((avg|min|max|cnt|sum|p50|p95|p99|p999)_(?!latency|(?:\w+_)?client_|file_))?", "", key)


@check_with()
def mntr_has_the_keys_and_values_of_java(pair):
    def prepare(server):
        server.ask("srst")
        session = server.session("A")
        server.session("B")
        session.create("/mntr", b"some data")
        session.create("/mntr/e\u00e9\u4e2d", b"\xff" * 10, flags=1)
        for path in ("/zookeeper/quota/mntr", "/zookeeper/quota/mntr/one", "/zookeeper/quota/mntr/two", "/mntr/one",
                     "/zookeeper/quota/other", "/other", "/other/below"):
            session.create(path, b"123")
        limits = "zookeeper_limits"
        session.create("/zookeeper/quota/mntr/one/" + limits, b"count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=-1")
        session.create("/zookeeper/quota/mntr/two/" + limits, b"count=7,bytes=50=;byteHardLimit=70;countHardLimit=-1")
        session.create("/zookeeper/quota/other/" + limits, b"count=-1,bytes=9")
        for path in ("mntr/one", "mntr/two", "other"):
            session.create("/zookeeper/quota/%s/zookeeper_stats" % path, b"count=0,bytes=0")
        session.do(zk.GET_DATA, BODY.str("/mntr").bool(True))
        session.do(zk.GET_CHILDREN, BODY.str("/mntr").bool(True))
        session.watch("/mntr", 0)
    each(pair, prepare)

    def view(server):
        return {key: value for key, value in views.mntr(server).items()
                if metric(key) not in NOT_MEASURED and not re.search("_(read|write)_per_namespace$", key)
                and metric(key) not in MEASURED_OTHERWISE}
    shown = pair.agree(view)
    if KIND == "zooid":
        measured = {metric(key) for key in views.mntr(pair.servers[1])}.intersection(NOT_MEASURED)
        assert not measured, "measured now, so compare it: %s" % sorted(measured)
    assert len(shown) > 250, len(shown)
    assert shown["zk_mntr_quota_count_limit_per_namespace"] == "12", shown
    forms = pair.agree(lambda s: {
        key: re.sub(r"^\d+\.\d+(E-?\d+)?$", "double", re.sub(r"^\d+$", "integer", value))
        for key, value in views.mntr(s).items() if metric(key) in MEASURED_OTHERWISE})
    assert forms["zk_avg_fsynctime"] == "double" and forms["zk_cnt_fsynctime"] == "integer", forms


@check_with("4lw.commands.whitelist=")
def without_a_list_only_srvr_is_answered(pair):
    whitelisted(pair, ["srvr"])


@check_with("4lw.commands.whitelist= stat , ruok,nope, wchs ")
def a_list_may_have_blanks(pair):
    whitelisted(pair, ["srvr", "stat", "ruok", "wchs"])


@check_with("4lw.commands.whitelist=stat, *")
def a_star_in_a_list_is_all(pair):
    whitelisted(pair, ALL)
    assert pair.both(lambda s: zk.answer(s.port, b"\xff\xf4\xff\xfd")) == b""


@check_with("4lw.commands.whitelist=mntr", flags="-Dreadonlymode.enabled=true")
def a_server_that_may_be_read_only_answers_isro(pair):
    whitelisted(pair, ["srvr", "mntr", "isro"])


ALL = "conf cons crst dirs dump envi gtmk hash isro mntr ruok srst srvr stat stmk wchc wchp wchs".split()


def whitelisted(pair, words):
    def refused(server):
        found = []
        for word in ALL:
            # What follows stmk only counts when it is allowed.
            text = server.ask(word, b"\0" * 8 if word == "stmk" else b"")
            if text == "%s is not executed because it is not in the whitelist.\n" % word:
                found.append(word)
        return found
    assert pair.both(refused) == [word for word in ALL if word not in words]
    if words != ALL:
        text = pair.both(lambda s: zk.answer(s.port, b"\xff\xf4\xff\xfd"))
        assert text == b"telnet close is not executed because it is not in the whitelist.\n", text


def run(names):
    unknown = names - {name for name, _, _ in CHECKS}
    if unknown:
        sys.exit("no check is called %s" % ", ".join(sorted(unknown)))
    passed = failed = 0
    shared = None
    try:
        for name, configuration, function in CHECKS:
            if names and name not in names:
                continue
            own = None
            try:
                if configuration is not None:
                    own = Pair(*configuration)
                elif shared is None:
                    shared = Pair()
                pair = own or shared
                try:
                    function(pair)
                finally:
                    for server in pair.servers:
                        server.close_clients()
                    if own:
                        own.stop()
                passed += 1
                print("ok %s" % name, flush=True)
            except Exception as problem:
                failed += 1
                text = str(problem) or type(problem).__name__
                print("FAIL %s: %s" % (name, text.replace("\n", " | ")), flush=True)
                traceback.print_exc()
    finally:
        if shared:
            shared.stop()
    print("%d passed, %d failed" % (passed, failed), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print("four-letter words of %s beside those of Apache ZooKeeper" % KIND, flush=True)
    sys.exit(run(set(sys.argv[1:])))
