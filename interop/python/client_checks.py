"""kazoo's own calls: nodes, versions, ACLs, transactions, commands."""

from kazoo.client import KazooClient
from kazoo.exceptions import (
    AuthFailedError,
    BadArgumentsError,
    BadVersionError,
    ConnectionLoss,
    InvalidACLError,
    NoAuthError,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    ReconfigDisabledError,
    RolledBackError,
    RuntimeInconsistency,
)
from kazoo.security import (
    ACL,
    CREATOR_ALL_ACL,
    OPEN_ACL_UNSAFE,
    READ_ACL_UNSAFE,
    Id,
    Permissions,
    make_acl,
    make_digest_acl,
)

from harness import check, end_client, equal, eventually, raises


@check
def connect_and_commands(env):
    zk = env.client()
    session, password = zk.client_id
    assert session != 0, "session id is 0"
    equal(len(password), 16, "length of the password")
    equal(zk.command(b"ruok"), "imok")
    assert "Mode: standalone" in zk.command(b"srvr")
    assert "zk_server_state\tstandalone" in zk.command(b"mntr")
    equal(zk.server_version(), (3, 9, 5), "version in envi")
    equal(zk.sync("/"), "/")
    equal(set(zk.get_children("/zookeeper")), {"config", "quota"})


@check
def timeouts_are_clamped(env):
    for wanted_s, negotiated_ms in [(1.0, 4000), (9.0, 9000), (1000.0, 40000)]:
        zk = env.client(timeout=wanted_s)
        connections = zk.command(b"cons").splitlines()
        mine = [line for line in connections if "sid=0x%x," % zk.client_id[0] in line]
        equal(len(mine), 1, "my lines in cons")
        assert ",to=%d," % negotiated_ms in mine[0], mine[0]


@check
def create_get_set_delete(env):
    zk = env.client()
    path = env.path
    equal(zk.create(path, b"one"), path)
    value, stat = zk.get(path)
    equal(value, b"one")
    equal((stat.version, stat.cversion, stat.aversion), (0, 0, 0), "versions")
    equal((stat.czxid, stat.mzxid, stat.pzxid), (stat.czxid,) * 3, "zxids of a new node")
    equal((stat.dataLength, stat.numChildren, stat.ephemeralOwner), (3, 0, 0))
    equal(stat.ctime, stat.mtime, "times of a new node")

    after = zk.set(path, b"two!")
    equal((after.version, after.dataLength, after.czxid), (1, 4, stat.czxid))
    assert after.mzxid > stat.mzxid
    equal(after.pzxid, stat.pzxid, "pzxid after a set")
    equal(zk.exists(path), after)
    equal(zk.get(path), (b"two!", after))

    zk.create(path + "/child")
    parent = zk.exists(path)
    equal((parent.cversion, parent.numChildren, parent.version), (1, 1, 1))
    equal(parent.pzxid, zk.exists(path + "/child").czxid)
    zk.delete(path + "/child")
    equal(zk.exists(path).cversion, 2)
    zk.delete(path)
    equal(zk.exists(path), None)


@check
def errors_of_nodes(env):
    zk = env.client()
    path = env.path
    raises(NoNodeError, zk.get, path)
    raises(NoNodeError, zk.set, path, b"")
    raises(NoNodeError, zk.delete, path)
    raises(NoNodeError, zk.get_children, path)
    raises(NoNodeError, zk.get_acls, path)
    raises(NoNodeError, zk.set_acls, path, OPEN_ACL_UNSAFE)
    raises(NoNodeError, zk.create, path + "/x")
    zk.create(path)
    raises(NodeExistsError, zk.create, path)
    raises(NodeExistsError, zk.create, "/")
    raises(BadArgumentsError, zk.delete, "/")
    raises(BadArgumentsError, zk.create, path + "/\u0001")
    zk.create(path + "/child")
    raises(NotEmptyError, zk.delete, path)
    zk.create(path + "/ephemeral", ephemeral=True)
    raises(NoChildrenForEphemeralsError, zk.create, path + "/ephemeral/child")


@check
def versions(env):
    zk = env.client()
    path = env.path
    zk.create(path)
    raises(BadVersionError, zk.set, path, b"", 1)
    raises(BadVersionError, zk.delete, path, 1)
    equal(zk.set(path, b"a", version=0).version, 1)
    equal(zk.set(path, b"b", version=-1).version, 2)
    raises(BadVersionError, zk.set_acls, path, OPEN_ACL_UNSAFE, 1)
    equal(zk.set_acls(path, OPEN_ACL_UNSAFE, 0).aversion, 1)
    zk.delete(path, version=2)


@check
def data_of_every_kind(env):
    zk = env.client()
    path = env.path
    zk.create(path)
    for name, value in [
        ("null", None),
        ("empty", b""),
        ("zeros", b"\0" * 17),
        ("all-bytes", bytes(range(256))),
        ("large", b"\xab" * 1_000_000),
        ("caf\u00e9 \u4e2d\u6587", b"unicode path"),
    ]:
        equal(zk.create(path + "/" + name, value), path + "/" + name)
        got, stat = zk.get(path + "/" + name)
        equal(got, value, name)
        equal(stat.dataLength, len(value or b""), name)
    equal(len(zk.get_children(path)), 6)


@check
def frame_over_the_limit_closes_the_connection(env):
    zk = env.client()
    session = zk.client_id
    zk.create(env.path)
    raises(ConnectionLoss, zk.set, env.path, b"x" * 1_100_000)
    value, stat = eventually(lambda: zk.connected and zk.retry(zk.get, env.path), "reconnected")
    equal((value, stat.version), (b"", 0))
    equal(zk.client_id, session, "session")


@check
def create_modes(env):
    zk = env.client()
    path = env.path
    equal(zk.create(path + "/deep/er", b"v", makepath=True), path + "/deep/er")
    real, stat = zk.create(path + "/with-stat", b"abc", include_data=True)
    equal(real, path + "/with-stat")
    equal(stat, zk.exists(real))

    equal(zk.create(path + "/s-", sequence=True), path + "/s-0000000002")
    equal(zk.create(path + "/s-", sequence=True), path + "/s-0000000003")
    equal(zk.create(path + "/", sequence=True), path + "/0000000004")
    zk.delete(path + "/s-0000000003")
    # The number counts the creates under the parent; a delete neither adds one nor takes one back.
    equal(zk.create(path + "/s-", sequence=True, ephemeral=True), path + "/s-0000000005")
    equal(zk.exists(path + "/s-0000000005").ephemeralOwner, zk.client_id[0])
    real, stat = zk.create(path + "/e", ephemeral=True, include_data=True)
    equal(stat.ephemeralOwner, zk.client_id[0])


@check
def paths_and_children(env):
    zk = env.client()
    path = env.path
    zk.ensure_path(path + "/a/b/c")
    zk.ensure_path(path + "/a/b/c")
    names = ["n%02d" % number for number in range(50)]
    for name in names:
        zk.create(path + "/a/" + name)
    equal(sorted(zk.get_children(path + "/a")), ["b"] + names)
    children, stat = zk.get_children(path + "/a", include_data=True)
    equal((len(children), stat.numChildren, stat.cversion), (51, 51, 51))
    zk.delete(path, recursive=True)
    equal(zk.exists(path), None)


@check
def pipelined_requests_answer_in_order(env):
    zk = env.client()
    path = env.path
    zk.create(path)
    creates = [zk.create_async("%s/n-" % path, b"%d" % i, sequence=True) for i in range(500)]
    equal(
        [result.get() for result in creates],
        ["%s/n-%010d" % (path, i) for i in range(500)],
        "names",
    )
    reads = []
    for i in range(200):
        zk.set_async(path, b"%d" % i)
        reads.append(zk.get_async(path))
    equal([int(result.get()[0]) for result in reads], list(range(200)), "a read sees the write before it")


@check
def chroot(env):
    root = env.client()
    root.ensure_path(env.path + "/inner")
    zk = env.client(chroot=env.path + "/inner")
    equal(zk.create("/a", b"1"), "/a")
    equal(zk.create("/a/s", sequence=True), "/a/s0000000000")
    equal(zk.get_children("/"), ["a"])
    equal(root.get(env.path + "/inner/a")[0], b"1")
    equal(zk.sync("/a"), "/a")


@check
def acl_permissions(env):
    zk = env.client()
    path = env.path
    zk.create(path)
    for name, permission in [
        ("read", Permissions.READ),
        ("write", Permissions.WRITE),
        ("create", Permissions.CREATE),
        ("delete", Permissions.DELETE),
        ("admin", Permissions.ADMIN),
    ]:
        node = path + "/" + name
        acl = [ACL(permission, Id("world", "anyone"))]
        zk.create(node, b"v", acl=acl)
        for allowed, call in [
            ({"read", "admin"}, lambda: equal(zk.get_acls(node)[0], acl)),
            ({"read"}, lambda: zk.get(node)),
            ({"read"}, lambda: zk.exists(node)),
            ({"read"}, lambda: zk.get_children(node)),
            ({"write"}, lambda: zk.set(node, b"w")),
            ({"create"}, lambda: zk.create(node + "/c")),
            ({"admin"}, lambda: zk.set_acls(node, acl)),
        ]:
            if name in allowed:
                call()
            else:
                raises(NoAuthError, call)
    # Deleting asks the parent for permission, not the node.
    zk.create(path + "/admin-parent", acl=[ACL(Permissions.CREATE, Id("world", "anyone"))])
    zk.create(path + "/admin-parent/child")
    raises(NoAuthError, zk.delete, path + "/admin-parent/child")
    zk.delete(path + "/read")


@check
def acl_digest(env):
    owner = env.client()
    path = env.path
    owner.create(path)
    owner.add_auth("digest", "ann:secret")
    owner.create(path + "/creator", b"v", acl=CREATOR_ALL_ACL)
    expanded = make_digest_acl("ann", "secret", all=True)
    equal(owner.get_acls(path + "/creator")[0], [expanded])
    owner.create(path + "/mixed", b"v", acl=[expanded, *READ_ACL_UNSAFE])

    stranger = env.client()
    raises(NoAuthError, stranger.get, path + "/creator")
    raises(NoAuthError, stranger.set_acls, path + "/creator", OPEN_ACL_UNSAFE)
    raises(NoAuthError, stranger.set, path + "/mixed", b"")
    equal(stranger.get(path + "/mixed")[0], b"v")
    raises(NoAuthError, stranger.create, path + "/creator/child")
    stranger.add_auth("digest", "ann:wrong")
    raises(NoAuthError, stranger.get, path + "/creator")
    stranger.add_auth("digest", "ann:secret")
    equal(stranger.get(path + "/creator")[0], b"v")

    at_start = env.client(auth_data=[("digest", "ann:secret")], default_acl=CREATOR_ALL_ACL)
    equal(at_start.get(path + "/creator")[0], b"v")
    at_start.create(path + "/default")
    equal(at_start.get_acls(path + "/default")[0], [expanded])

    stat = owner.set_acls(path + "/creator", OPEN_ACL_UNSAFE)
    equal(stat.aversion, 1)
    equal(env.client().get(path + "/creator")[0], b"v")


@check
def acl_of_others_is_hidden(env):
    owner = env.client()
    owner.create(env.path, acl=[make_digest_acl("bob", "secret", all=True), *READ_ACL_UNSAFE])
    seen = env.client().get_acls(env.path)[0]
    equal(seen, [make_acl("digest", "bob:x", all=True), *READ_ACL_UNSAFE], "without ADMIN the hash is an x")


@check
def acl_ip(env):
    zk = env.client()
    zk.create(env.path)
    zk.create(env.path + "/here", b"v", acl=[make_acl("ip", "127.0.0.1", all=True)])
    zk.create(env.path + "/net", b"v", acl=[make_acl("ip", "127.0.0.0/8", read=True)])
    zk.create(env.path + "/there", b"v", acl=[make_acl("ip", "10.1.2.3", all=True)])
    equal(zk.get(env.path + "/here")[0], b"v")
    equal(zk.get(env.path + "/net")[0], b"v")
    raises(NoAuthError, zk.set, env.path + "/net", b"")
    raises(NoAuthError, zk.get, env.path + "/there")


@check
def acl_invalid(env):
    zk = env.client()
    raises(InvalidACLError, zk.create, env.path, b"", [make_acl("nonsense", "id", all=True)])
    raises(InvalidACLError, zk.create, env.path, b"", [make_acl("ip", "300.0.0.1", all=True)])
    raises(InvalidACLError, zk.create, env.path, b"", [make_acl("digest", "no-colon", all=True)])
    raises(InvalidACLError, zk.create, env.path, b"", CREATOR_ALL_ACL)
    equal(zk.exists(env.path), None)


@check
def unknown_auth_scheme_fails(env):
    zk = KazooClient(env.server.hosts)
    zk.start()
    try:
        raises(AuthFailedError, zk.add_auth, "nonsense", "id")
    finally:
        end_client(zk)


@check
def transaction_commits_as_one(env):
    zk = env.client()
    path = env.path
    zk.create(path, b"v")
    zk.create(path + "/old")
    zk.add_auth("digest", "ann:secret")
    transaction = zk.transaction()
    transaction.check(path, 0)
    transaction.create(path + "/a", b"a")
    transaction.create(path + "/a/b", b"b", acl=CREATOR_ALL_ACL)
    transaction.create(path + "/s-", sequence=True)
    transaction.create(path + "/e", ephemeral=True)
    transaction.set_data(path, b"w", version=0)
    transaction.set_data(path + "/a", b"set in the same transaction")
    transaction.delete(path + "/old", version=0)
    results = transaction.commit()
    equal(results[0], True)
    # The number counts the creates before it in the same transaction.
    equal(results[1:5], [path + "/a", path + "/a/b", path + "/s-0000000002", path + "/e"])
    equal((results[5].version, results[6].version, results[7]), (1, 1, True))
    zxid = results[5].mzxid
    for name in ["/a", "/a/b", "/s-0000000002", "/e"]:
        equal(zk.exists(path + name).czxid, zxid, "one zxid for all")
    equal(zk.exists(path + "/old"), None)
    equal(zk.get_acls(path + "/a/b")[0], [make_digest_acl("ann", "secret", all=True)])

    with zk.transaction() as context:
        context.delete(path + "/a/b")
        context.delete(path + "/a")
    equal(zk.exists(path + "/a"), None)


@check
def transaction_fails_as_one(env):
    zk = env.client()
    path = env.path
    zk.create(path, b"v")
    before = zk.exists(path)
    transaction = zk.transaction()
    transaction.create(path + "/a")
    transaction.set_data(path, b"w")
    transaction.check(path, 7)
    transaction.delete(path + "/missing")
    results = transaction.commit()
    equal(
        [type(result) for result in results],
        [RolledBackError, RolledBackError, BadVersionError, RuntimeInconsistency],
    )
    equal(zk.exists(path), before)
    equal(zk.exists(path + "/a"), None)
    for operation, error in [
        (lambda t: t.create(path), NodeExistsError),
        (lambda t: t.create(path + "/x/y"), NoNodeError),
        (lambda t: t.delete(path + "/x"), NoNodeError),
        (lambda t: t.set_data(path, b"", 3), BadVersionError),
        (lambda t: t.check(path + "/x", 0), NoNodeError),
    ]:
        transaction = zk.transaction()
        operation(transaction)
        equal([type(result) for result in transaction.commit()], [error])


@check
def empty_transaction(env):
    equal(env.client().transaction().commit(), [])


@check
def members_do_not_change_on_a_standalone_server(env):
    zk = env.client()
    config, stat = zk.get("/zookeeper/config")
    equal((config, stat.version), (b"", 0))
    raises(ReconfigDisabledError, zk.reconfig, "server.9=127.0.0.1:1:2;3", None, None)
    raises(ReconfigDisabledError, zk.reconfig, None, "9", None)
