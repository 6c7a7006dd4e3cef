#!/usr/bin/env bash
# A member as an operator starts and stops it, for the suite and for the commands of `zooid migrate`.
#   member.sh start java|java38|zooid DIR   on DIR/zoo.cfg; the log is DIR/server.log, the pid DIR/server.pid
#   member.sh stop DIR               TERM; returns when the process is gone
#   member.sh kill DIR
set -euo pipefail

# The state letter of /proc counts a zombie as ended: its parent may reap it late. But its ports are taken until the last
# of its threads has ended, too.
alive() {
    local stat threads
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=${stat##*) }
    threads=("/proc/$1/task/"*)
    [ "${stat%% *}" != Z ] || [ "${#threads[@]}" -gt 1 ]
}

case $1 in
start)
    kind=$2 dir=$3
    if [ "$kind" != zooid ]; then
        lib=$INTEROP_OUT/oracle${kind#java}/lib
        command=(java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto
            -cp "$lib:$lib/*" org.apache.zookeeper.server.quorum.QuorumPeerMain "$dir/zoo.cfg")
    else
        command=("$ZOOID" serve --config "$dir/zoo.cfg")
    fi
    # A process group of its own, and no session: see `../server.sh`.
    set -m
    "${command[@]}" >>"$dir/server.log" 2>&1 </dev/null &
    echo $! >"$dir/server.pid"
    set +m
    ;;
stop | kill)
    dir=$2
    [ -f "$dir/server.pid" ] || exit 0
    pid=$(cat "$dir/server.pid")
    signal=TERM
    [ "$1" = stop ] || signal=KILL
    kill "-$signal" "$pid" 2>/dev/null || true
    end=$((SECONDS + 60))
    while alive "$pid"; do
        [ "$SECONDS" -lt "$end" ] || { echo "process $pid ignores $signal" >&2; exit 1; }
        sleep 0.02
    done
    rm -f "$dir/server.pid"
    ;;
*)
    echo "expected start, stop or kill" >&2
    exit 2
    ;;
esac
