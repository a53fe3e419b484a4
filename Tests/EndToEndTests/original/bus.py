"""The Python original's side of the bus: a bare name on the first line, then one JSON object a line.

Nothing here knows of hello, id, re or stream: that is the point.
"""
import asyncio
import json


class Bus:
    def __init__(self, name, reader, writer):
        self.name, self.reader, self.writer = name, reader, writer

    @classmethod
    async def connect(cls, path, name):
        # The original's broker and clients took lines of up to 64 KiB, asyncio's default.
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write((name + "\n").encode())
        await writer.drain()
        return cls(name, reader, writer)

    async def send(self, target, method, payload):
        gram = {"source": self.name, "target": target, "method": method, "payload": payload}
        self.writer.write((json.dumps(gram) + "\n").encode())
        await self.writer.drain()

    async def receive(self):
        """The next gram, or None when the kernel has closed the connection."""
        line = await self.reader.readline()
        return json.loads(line) if line else None

    async def close(self):
        self.writer.close()
        await self.writer.wait_closed()
