"""A persona as the original had them: a process that registers a name, and answers each gram with one to its source.

usage: persona_client.py SOCKET NAME [--count N] [--method METHOD] [--timeout SECONDS]

Prints each gram that it got as one line of JSON. Exit status: 0 after N grams (0: when the kernel closes), 1 if
the connection ended or the time was over before.
"""
import argparse
import asyncio
import json
import sys

from bus import Bus


async def run(arguments):
    bus = await Bus.connect(arguments.socket, arguments.name)
    # Whoever waits for us to be there reads this line.
    print("registered " + arguments.name, flush=True)
    answered = 0
    while arguments.count == 0 or answered < arguments.count:
        gram = await bus.receive()
        if gram is None:
            return 0 if arguments.count == 0 else 1
        print(json.dumps(gram, sort_keys=True), flush=True)
        if gram["source"] in ("KERNEL", arguments.name):
            continue
        content = (gram.get("payload") or {}).get("content", "")
        await bus.send(gram["source"], arguments.method, {"persona": arguments.name, "content": "heard: " + content})
        answered += 1
    await bus.close()
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("socket")
    parser.add_argument("name")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--method", default="persona_response")
    parser.add_argument("--timeout", type=float, default=60)
    arguments = parser.parse_args()
    try:
        return asyncio.run(asyncio.wait_for(run(arguments), arguments.timeout))
    except (OSError, asyncio.TimeoutError, json.JSONDecodeError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
