#!/usr/bin/env bash
# One standalone server for the suites, with the same command for Zooid and for Apache ZooKeeper.
#
#   server.sh start zooid|java PORT DIR [CFGLINE...]   writes DIR/zoo.cfg, starts, returns when `srvr` is answered
#   server.sh kill DIR                                 kill -9, as a crash
#   server.sh stop DIR                                 TERM, as an operator
#
# An existing DIR/data is kept: start after kill is a restart. The log is DIR/server.log, the pid DIR/server.pid.
# JVMFLAGS may carry -Dname=value words for both kinds.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/.." && pwd)
out=${INTEROP_OUT:-$repo/target/interop}
deadline_s=90

die() { echo "server.sh: $*" >&2; exit 1; }

# The state letter of /proc counts a zombie as ended: its parent may reap it late. But its ports are taken until the last
# of its threads has ended, too.
alive() {
    local stat threads
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=${stat##*) }
    threads=("/proc/$1/task/"*)
    [ "${stat%% *}" != Z ] || [ "${#threads[@]}" -gt 1 ]
}

# Prints the first line of the answer to the four-letter word `srvr`, nothing when there is none.
srvr() {
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 0
        printf srvr >&3
        IFS= read -r -t 2 line <&3 || exit 0
        printf '%s\n' "$line"
    ) 2>/dev/null || true
}

start() {
    local kind=$1 port=$2 dir=$3
    shift 3
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    [ -z "$(srvr "$port")" ] || die "port $port is taken by another server"
    {
        echo tickTime=2000
        echo "dataDir=$dir/data"
        echo "clientPort=$port"
        echo '4lw.commands.whitelist=*'
        echo admin.enableServer=false
        echo maxClientCnxns=0
        [ $# -eq 0 ] || printf '%s\n' "$@"
    } >"$dir/zoo.cfg"

    local flags=() command=()
    read -r -a flags <<<"${JVMFLAGS:-}" || true
    case $kind in
    java)
        "$here/oracle/install"
        command=(java -Xmx512m -XX:+UseSerialGC -Dzookeeper.admin.enableServer=false "${flags[@]}"
            -cp "$out/oracle/lib:$out/oracle/lib/*" org.apache.zookeeper.server.quorum.QuorumPeerMain "$dir/zoo.cfg")
        ;;
    zooid)
        local zooid=${ZOOID:-$repo/target/release/zooid}
        [ -x "$zooid" ] || die "no zooid binary at $zooid (set ZOOID)"
        command=("$zooid" serve --config "$dir/zoo.cfg")
        ;;
    *) die "unknown kind of server: $kind (zooid or java)" ;;
    esac

    # A process group of its own: Ctrl-C at a suite must not end the server before the suite does. No session of its own:
    # Linux schedules sessions as groups, and lets one stand still for seconds on few cores that others keep busy.
    set -m
    "${command[@]}" >>"$dir/server.log" 2>&1 </dev/null &
    local pid=$!
    set +m
    echo "$pid" >"$dir/server.pid"

    local end=$((SECONDS + deadline_s)) line
    while :; do
        line=$(srvr "$port")
        case $line in
        *"version:"*) return 0 ;;
        esac
        alive "$pid" || fail "$dir" "$kind server ended at start"
        [ "$SECONDS" -lt "$end" ] || { kill -9 "$pid" 2>/dev/null || true; fail "$dir" "$kind server did not answer srvr in ${deadline_s}s"; }
        sleep 0.05
    done
}

# Without the pid file a later kill or stop cannot hit a stranger that got the same pid.
fail() {
    rm -f "$1/server.pid"
    echo "server.sh: $2; the end of $1/server.log:" >&2
    tail -n 30 "$1/server.log" >&2 || true
    exit 1
}

# end SIGNAL DIR
end() {
    [ -f "$2/server.pid" ] || return 0
    local pid deadline=$((SECONDS + deadline_s))
    pid=$(cat "$2/server.pid")
    kill "-$1" "$pid" 2>/dev/null || true
    while alive "$pid"; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            kill -9 "$pid" 2>/dev/null || true
            die "process $pid of $2 ignored signal $1 for ${deadline_s}s"
        fi
        sleep 0.02
    done
    rm -f "$2/server.pid"
}

case ${1:-} in
start) [ $# -ge 4 ] || die "start zooid|java PORT DIR [CFGLINE...]"; start "${@:2}" ;;
kill) [ $# -eq 2 ] || die "kill DIR"; end KILL "$2" ;;
stop) [ $# -eq 2 ] || die "stop DIR"; end TERM "$2" ;;
*) die "expected start, kill or stop" ;;
esac
