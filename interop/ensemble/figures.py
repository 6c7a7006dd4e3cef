"""The names of what `mntr` says of a leader, a follower and an observer are those of Apache ZooKeeper, so that no panel of a
dashboard stays empty. What a member of Zooid has nothing of is there with 0."""

import re

from members import require

CHECKS = []

LEFT_OUT = {
    "read_per_namespace": "bytes by the first part of a path: a table that all reads would have to share",
    "write_per_namespace": "the same of writes",
    "ack_latency": "there with the first sample: which acknowledgement that is, is chance",
}
"""Names that one of both may lack, and why."""

SEEN = {}
"""(kind, role) to names, over all ensembles: there is one leader in each."""


def check(function):
    CHECKS.append((function.__name__.replace("_", "-"), function))
    return function


def names(member):
    """Without the numbers of learners."""
    found = {re.sub(r"_\d+_(?=learner_handler|ack_latency)", "_N_", name) for name in member.monitor()}
    return {name for name in found if not name.endswith(tuple(LEFT_OUT))}


@check
def figures_have_the_names_of_java(ensemble):
    ensemble.whole()
    for member in ensemble.running():
        SEEN[member.kind, member.mode()] = names(member)
    compared = [role for kind, role in SEEN if kind == "z" and ("j", role) in SEEN]
    for role in compared:
        java, own = SEEN["j", role], SEEN["z", role]
        require(len(java) > 400, "%d names of a %s of Java" % (len(java), role))
        require(java == own, "of a %s only Java says %s, only Zooid %s" % (role, sorted(java - own), sorted(own - java)))
    return "compared: %s" % (", ".join(sorted(compared)) or "none yet")
