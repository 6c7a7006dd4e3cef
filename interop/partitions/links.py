"""Slow links: each connection between members goes through this program, which holds back what it passes on, in order.

    links.py COUNT        what comes to 10.78.A.B is what member A sends to member B

It reads commands: `delay MS JITTER_MS` for what arrives from now on, `reset` ends all connections at once. It answers each,
and `ready` first, with a line."""

import asyncio
import contextlib
import itertools
import random
import sys

PORTS = (2888, 3888)
"""Those of `servers.py`."""
MOST_HELD = 64
"""Pieces of up to 64 KiB that wait in one direction of a connection; then the sender has to wait."""


def entrance(sender, receiver):
    """The address by which a member reaches another."""
    return "10.78.%d.%d" % (sender, receiver)


class Links:
    def __init__(self):
        self.delay_s, self.jitter_s = 0.0, 0.0
        self.open = set()

    def entered(self, receiver, port):
        async def pass_on(reader, writer):
            try:
                far_reader, far_writer = await asyncio.open_connection("10.77.0.%d" % receiver, port)
            except OSError:
                writer.transport.abort()
                return
            ends = {writer, far_writer}
            self.open |= ends
            try:
                await asyncio.gather(self.hold(reader, far_writer), self.hold(far_reader, writer))
            finally:
                self.open -= ends
                for end in ends:
                    end.transport.abort()
        return pass_on

    async def hold(self, reader, writer):
        """One direction, until one of the ends is gone; then the other goes, too."""
        held = asyncio.Queue(MOST_HELD)

        async def take():
            last, data = 0.0, b"?"
            while data:
                try:
                    data = await reader.read(65536)
                except OSError:
                    data = b""
                last = max(last, asyncio.get_running_loop().time() + self.delay_s + random.uniform(0, self.jitter_s))
                await held.put((last, data))
        taking = asyncio.ensure_future(take())
        try:
            while True:
                due, data = await held.get()
                await asyncio.sleep(due - asyncio.get_running_loop().time())
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            taking.cancel()
            writer.transport.abort()

    def reset(self):
        for end in list(self.open):
            with contextlib.suppress(OSError):
                end.transport.abort()


async def main(count):
    links = Links()
    for sender, receiver in itertools.permutations(range(1, count + 1), 2):
        for port in PORTS:
            await asyncio.start_server(links.entered(receiver, port), entrance(sender, receiver), port)
    print("ready", flush=True)
    while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        words = line.split()
        if words[0] == "delay":
            links.delay_s, links.jitter_s = int(words[1]) / 1e3, int(words[2]) / 1e3
            print("ok", flush=True)
        elif words[0] == "reset":
            print(len(links.open) // 2, flush=True)
            links.reset()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
