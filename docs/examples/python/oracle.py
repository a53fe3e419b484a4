#: bat-persona 1
#: name = ORACLE
#: version = 1.0
#: summary = Counts words, and answers in riddles; in Python
#: state = 1
#: needs = bus/1 state/1
#: wants = llm/1
#: method.count = how many words a text has
#: takes.count = {"type":"object","properties":{"content":{"type":"string"}},"required":["content"]}
#: gives.count = {"type":"object","properties":{"words":{"type":"integer"},"texts":{"type":"integer"}},"required":["words"]}
#: method.spell = says a text word by word
#: method.through = asks a colleague, {"colleague", "content"}
#
# The lines above are the about text; `make` puts it into the library. What this file defines is called by python.c:
#   async def receive(gram, kernel)   one message; what it returns is the reply. Required.
#   def start(kernel), def stop(kernel), def save(), def load(state, schema), def health()   Optional.
# While it awaits, other messages are worked on. A loop that takes long holds them all up.

texts = 0


async def receive(gram, kernel):
    global texts
    if gram.method == "count":
        texts += 1
        kernel.state["last"] = gram.text
        return {"words": len(gram.text.split()), "texts": texts}
    if gram.method == "last":
        return {"content": kernel.state.get("last")}
    if gram.method == "spell":
        for word in gram.text.split():
            gram.stream(word + " ")
        return {"content": gram.text}
    if gram.method == "through":
        return await kernel.ask(gram.payload["colleague"], "talk", {"content": gram.text})
    if gram.published:
        return None
    if not gram.text:
        raise kernel.Error(f"{kernel.name} has no method {gram.method}", kernel.UNKNOWN_METHOD)
    answer = await kernel.chat(gram.text, thread=gram.source, stream_to=gram)
    return {"content": answer["text"]}


def save():
    return {"texts": texts}


def load(state, schema):
    global texts
    texts = state["texts"]
