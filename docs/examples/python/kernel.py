# What a script sees of the kernel; python.c runs this before the script, in the same place. `_c` is its C side.
import json as _json
import traceback as _traceback


class Error(Exception):
    """An error that the asker gets, or that came from the kernel."""

    def __init__(self, message, status=-1):
        super().__init__(message)
        self.status = status


class Gram:
    """One message."""

    def __init__(self, host, token, source, method, payload, topic):
        self._host, self._token = host, token
        self.source, self.method, self.topic = source, method, topic
        self.payload = _json.loads(payload)
        self.published = bool(topic)

    @property
    def text(self):
        """What a person said."""
        if isinstance(self.payload, str):
            return self.payload
        return self.payload.get("content") if isinstance(self.payload, dict) else None

    def stream(self, piece):
        """Shows a piece of text ahead of the reply."""
        _c.stream(self._host, self._token, piece)


class _Request:
    def __init__(self, *order):
        self.order = order

    def __await__(self):
        status, text = yield self.order
        if status < 0:
            raise Error(text, status)
        return text


class _State:
    """Values that the kernel keeps through reloads."""

    def __init__(self, host):
        self._host = host

    def get(self, key, default=None):
        text = _c.get(self._host, key)
        return default if text is None else _json.loads(text)

    def __getitem__(self, key):
        text = _c.get(self._host, key)
        if text is None:
            raise KeyError(key)
        return _json.loads(text)

    def __setitem__(self, key, value):
        _c.put(self._host, key, _json.dumps(value))


class Kernel:
    """The way to the kernel, on behalf of one message."""

    Error = Error
    INVALID, UNKNOWN_METHOD = -2, -10

    def __init__(self, host, token):
        self._host, self._token = host, token
        self.state = _State(host)

    @property
    def config(self):
        return _json.loads(_c.config(self._host))

    @property
    def name(self):
        return self.config["name"]

    def log(self, line):
        _c.log(self._host, 1, str(line))

    def send(self, target, method, payload=None):
        _c.send(self._host, self._token, target, method, _json.dumps(payload))

    async def ask(self, target, method, payload=None):
        return _json.loads(await _Request("ask", target, method, _json.dumps(payload), 0))

    async def chat(self, text, stream_to=None, **question):
        question["text"] = text
        return _json.loads(await _Request("chat", _json.dumps(question), "", "", stream_to._token if stream_to else 0))


class _Task:
    def __init__(self, host, token, coroutine):
        self.host, self.token, self.coroutine = host, token, coroutine

    def step(self, value):
        """Runs it up to its next request, or to its end. Called by python.c, on the lane."""
        try:
            order = self.coroutine.send(value)
        except StopIteration as end:
            self.reply(end.value)
        except Exception as error:
            self.fail(error)
        else:
            status = _c.request(self.host, self.token, self, *order)
            if status < 0:
                self.step((status, f"the kernel does not take the request (status {status})"))

    def reply(self, value):
        if isinstance(value, str):
            value = {"content": value}
        try:
            _c.reply(self.host, self.token, "" if value is None else _json.dumps(value))
        except TypeError as error:
            self.fail(error)

    def fail(self, error):
        if not isinstance(error, Error):
            _c.log(self.host, 3, "".join(_traceback.format_exception(error)))
        words = str(error) if isinstance(error, Error) else _traceback.format_exception_only(error)[-1].strip()
        _c.fail(self.host, self.token, getattr(error, "status", -1), words)


def _receive(host, token, source, method, payload, topic):
    gram = Gram(host, token, source, method, payload, topic)
    result = receive(gram, Kernel(host, token))
    task = _Task(host, token, result)
    if hasattr(result, "send"):
        task.step(None)
    else:
        task.reply(result)


def _call(host, name, *arguments):
    """save, load, start, stop, health: what there is of them."""
    function = globals().get(name)
    if function is None:
        return None
    if name == "save":
        return _json.dumps(function())
    if name == "load":
        function(_json.loads(arguments[0]), arguments[1])
    elif name == "health":
        function()
    else:
        function(Kernel(host, 0))
