#!/usr/bin/env python3
"""Records what an ensemble of three Java servers says on loopback, into the .hex files of this folder.

Each server reaches the others through a proxy that keeps what passes. Servers 1 and 2 vote, 2 leads;
3 observes and starts when there are data, so that it gets a snapshot.

    interop/oracle/install; crates/proto/testdata/quorum/record.py
"""
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parents[3]
LIB = pathlib.Path(os.environ.get("INTEROP_OUT", REPO / "target/interop")) / "oracle/lib"
JAVA = ["java", "-Xmx256m", "-Dzookeeper.admin.enableServer=false", "-cp", f"{LIB}:{LIB}/*"]
SIDS = (1, 2, 3)
COMMANDS = """create /a hello
create -e /e x
create /c
addauth digest me:secret
set /a world
set /a again 1
create /a refused
sync /a
delete /c
setAcl /a world:anyone:cdrwa
quit
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def forward(source, target, kept):
    try:
        while data := source.recv(65536):
            kept.append(data)
            target.sendall(data)
    except OSError:
        pass
    for s in (source, target):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Proxy:
    """Connections to one port; each is a pair of what was said to it and what it answered."""

    def __init__(self, target):
        self.target = target
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            asked, answered = [], []
            self.connections.append((asked, answered))
            threading.Thread(target=forward, args=(near, far, asked), daemon=True).start()
            threading.Thread(target=forward, args=(far, near, answered), daemon=True).start()


def srvr(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as s:
            s.sendall(b"srvr")
            return s.makefile("rb").read().decode()
    except OSError:
        return ""


def wait_for(port, word):
    deadline = time.monotonic() + 60
    while word not in srvr(port):
        assert time.monotonic() < deadline, f"no {word} on port {port}"
        time.sleep(0.1)


def save(name, kept):
    text = b"".join(kept).hex()
    lines = [text[i : i + 128] for i in range(0, len(text), 128)]
    (HERE / f"{name}.hex").write_text("\n".join(lines) + "\n")
    print(name, len(text) // 2)


def main():
    quorum, election, client = ({sid: free_port() for sid in SIDS} for _ in range(3))
    to_quorum = {sid: Proxy(quorum[sid]) for sid in SIDS}
    to_election = {sid: Proxy(election[sid]) for sid in SIDS}
    processes = []
    with tempfile.TemporaryDirectory() as root:
        def start(own):
            data = pathlib.Path(root, str(own))
            data.mkdir()
            (data / "myid").write_text(str(own))
            lines = ["tickTime=2000", "initLimit=10", "syncLimit=5", f"dataDir={data}",
                     f"clientPort={client[own]}", "4lw.commands.whitelist=*"]
            for sid in SIDS:
                role = "observer" if sid == 3 else "participant"
                q, e = ((quorum[sid], election[sid]) if sid == own
                        else (to_quorum[sid].port, to_election[sid].port))
                lines.append(f"server.{sid}=127.0.0.1:{q}:{e}:{role}")
            if own == 3:
                lines.append("peerType=observer")
            config = data / "zoo.cfg"
            config.write_text("\n".join(lines) + "\n")
            main_class = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
            log = open(data / "log", "w")
            processes.append(subprocess.Popen([*JAVA, main_class, config], stdout=log, stderr=log))

        def shell(port, commands):
            main_class = "org.apache.zookeeper.ZooKeeperMain"
            subprocess.run([*JAVA, main_class, "-server", f"127.0.0.1:{port}"], check=False,
                           input=commands, text=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, timeout=60)

        try:
            start(1)
            time.sleep(1)  # 1 must have given up to reach 2, so that 2 opens the link
            start(2)
            wait_for(client[1], "follower")
            shell(client[1], COMMANDS)
            start(3)
            wait_for(client[3], "observer")
            shell(client[3], "create /o seen\ncreate -s /s x\nquit\n")
            for name, (asked, answered) in (
                ("follower", to_quorum[2].connections[0]),
                ("observer", to_quorum[2].connections[-1]),
            ):
                save(f"{name}-to-leader", asked)
                save(f"leader-to-{name}", answered)
            longest = max(to_election[1].connections, key=lambda c: len(b"".join(c[1])))
            save("election-opener", longest[0])
            save("election-acceptor", longest[1])
        finally:
            for process in processes:
                process.kill()
                process.wait()


main()
