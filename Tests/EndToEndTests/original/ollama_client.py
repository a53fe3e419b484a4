"""Talks to the server of ollama_server.py as the official `ollama` client (PyPI) does: who is accepted by both speaks Ollama.

usage: ollama_client.py PORT
"""
import sys
import ollama

client = ollama.Client(host=f"http://127.0.0.1:{sys.argv[1]}")
ask = lambda text, **more: client.chat(model=more.pop("model", "m"), messages=[{"role": "user", "content": text}], **more)

assert [model.model for model in client.list().models] == ["m"]
whole = ask("say Good evening")
assert whole.message.content == "Good evening" and whole.done and whole.done_reason == "stop" and whole.prompt_eval_count == 26
parts = list(ask("say Good evening, Sir", stream=True))
assert "".join(part.message.content for part in parts) == "Good evening, Sir" and parts[-1].done and not parts[0].done
assert '"num_ctx": 512' in ask("?", options={"num_ctx": 512}).message.content
for text, more in (("fail later", {"stream": True}), ("say x", {"model": "none"})):
    try:
        list(ask(text, **more))
        raise SystemExit(f"{text} was no error")
    except ollama.ResponseError as error:
        print(error)
print("accepted")
