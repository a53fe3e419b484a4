"""The original's window, without the window: registers, sends one question, and reads until it is answered.

usage: gui_client.py SOCKET [TEXT] [--name GUI] [--target BRICK] [--method process_architect_query]
       [--source NAME] [--count N] [--raw LINE]… [--timeout SECONDS]

Prints each gram that it got as one line of JSON. `--raw` sends a line as it is before the question; `--source`
claims to be somebody else. Exit status: 0 if the last of N grams came from the target, 1 otherwise.
"""
import argparse
import asyncio
import json
import sys

from bus import Bus


async def run(arguments):
    bus = await Bus.connect(arguments.socket, arguments.name)
    print("registered " + arguments.name, flush=True)
    for line in arguments.raw:
        bus.writer.write((line + "\n").encode())
    if arguments.source:
        bus.name = arguments.source
    await bus.send(arguments.target, arguments.method, {"content": arguments.text})
    last = None
    for _ in range(arguments.count):
        last = await bus.receive()
        if last is None:
            print("the kernel closed the connection", file=sys.stderr)
            return 1
        print(json.dumps(last, sort_keys=True), flush=True)
    await bus.close()
    return 0 if last is None or last["source"] == arguments.target else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("socket")
    parser.add_argument("text", nargs="?", default="What is a bat?")
    parser.add_argument("--name", default="GUI")
    parser.add_argument("--target", default="BRICK")
    parser.add_argument("--method", default="process_architect_query")
    parser.add_argument("--source", default=None)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--raw", action="append", default=[])
    parser.add_argument("--timeout", type=float, default=60)
    arguments = parser.parse_args()
    try:
        return asyncio.run(asyncio.wait_for(run(arguments), arguments.timeout))
    except (OSError, asyncio.TimeoutError, json.JSONDecodeError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
