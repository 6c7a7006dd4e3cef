"""Two voters with an oracle each (`oraclePath`): the one that is left goes on where its oracle says 1, and only there.
Each check leaves both running."""

from servers import checks, eventually, require, same, wire

same_trees = checks.same_trees


def write(member, path, data=b""):
    client = eventually(lambda: attempt(member), "%r takes a client" % member)
    client.create(path, data)
    client.close()


def attempt(member):
    try:
        return member.client()
    except wire.Gone:
        return None


def without_a_word_nobody_goes_on(pair):
    leader = pair.whole()
    other = pair.other(leader)
    other.kill()
    eventually(lambda: not leader.serves(), "%r stops" % leader)
    pair.start(other)
    pair.whole()


def the_leader_goes_on(pair):
    leader = pair.whole()
    other = pair.other(leader)
    write(leader, "/by-two", b"2")
    leader.oracle(1)
    other.kill()
    write(leader, "/by-the-leader", b"1")
    same(leader.mode(), "leader", "mode of %r" % leader)
    pair.start(other)
    require(pair.whole() is leader, "%r leads on" % leader)
    same(other.read("/by-the-leader"), b"1", "what was written without %r" % other)
    leader.oracle(0)
    same_trees(pair)


def the_follower_takes_over(pair):
    # Both start anew: what a Java server that has led knows of its oracle is not asked again.
    leader = pair.again()
    other = pair.other(leader)
    other.oracle(1)
    leader.kill()
    write(other, "/by-the-follower", b"1")
    same(other.mode(), "leader", "mode of %r" % other)
    pair.start(leader)
    require(pair.whole() is other, "%r leads on: %s" % (other, pair.state()))
    same(leader.read("/by-the-follower"), b"1", "what was written without %r" % leader)
    other.oracle(0)
    same_trees(pair)


def a_word_that_comes_late(pair):
    leader = pair.again()
    other = pair.other(leader)
    leader.kill()
    eventually(lambda: not other.serves(), "%r stops" % other)
    other.oracle(1)
    eventually(lambda: other.mode() == "leader", "%r leads" % other, 120)
    pair.start(leader)
    pair.whole()
    other.oracle(0)


ALL = [(function.__name__.replace("_", "-"), function) for function in (
    without_a_word_nobody_goes_on, the_leader_goes_on, the_follower_takes_over, a_word_that_comes_late)]
