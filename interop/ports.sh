#!/usr/bin/env bash
# Prints COUNT (default 1) free ports of the loopback interface, one per line. Every suite takes its ports from here.
# Suites run side by side, and the port of a server that is down on purpose must wait for it: so no port is given a
# second time before all have been given, whoever asks, and none is of those that the system gives to clients.
set -euo pipefail

first=10000
last=31999
# One for all clones of a user on this machine. Not in TMPDIR: suites have one of their own.
given=/tmp/zooid-ports-$UID

exec 9>>"$given"
flock 9
port=$(tail -n 1 "$given")
[[ $port =~ ^[0-9]{5}$ ]] || port=$((first + RANDOM % (last - first)))
left=${1:-1}
for ((tried = first; tried <= last && left > 0; tried++)); do
    port=$((port < last ? port + 1 : first))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        echo "$port"
        left=$((left - 1))
    fi
done
echo "$port" >"$given"
[ "$left" -eq 0 ] || { echo "ports.sh: all ports from $first to $last are taken" >&2; exit 1; }
