/// One gram on its way out: what is written when the kernel, a persona or a client makes a line.
public struct GramLine {
  public var source: [UInt8] = []
  public var target: [UInt8]
  public var method: [UInt8]
  /// JSON; empty: null.
  public var payload: [UInt8] = []
  /// As it stands in the line: a quoted string or a number. Empty: none.
  public var id: [UInt8] = []
  public var re: [UInt8] = []
  public var trace: [UInt8] = []
  public var hops = 0
  public var stream = false
  public var deadlineMilliseconds = 0

  public init(target: [UInt8], method: [UInt8]) {
    self.target = target
    self.method = method
  }

  /// The line, newline included. Payloads are JSON, so they hold no newline outside of escapes, unless
  /// they were written over several lines: those breaks become blanks.
  public func bytes() -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(96 + source.count + target.count + method.count + payload.count + trace.count)
    out.append(#"{"source":"#)
    out.appendJSON(source)
    out.append(#","target":"#)
    out.appendJSON(target)
    out.append(#","method":"#)
    out.appendJSON(method)
    if !id.isEmpty {
      out.append(#","id":"#)
      out.append(contentsOf: id)
    }
    if !re.isEmpty {
      out.append(#","re":"#)
      out.append(contentsOf: re)
    }
    if stream { out.append(#","stream":true"#) }
    if deadlineMilliseconds > 0 {
      out.append(#","deadline_ms":"#)
      out.append(contentsOf: String(deadlineMilliseconds).utf8)
    }
    if hops > 0 {
      out.append(#","hops":"#)
      out.append(contentsOf: String(hops).utf8)
    }
    if !trace.isEmpty {
      out.append(#","trace":"#)
      out.appendJSON(trace)
    }
    out.append(#","payload":"#)
    if payload.isEmpty {
      out.append("null")
    } else {
      let start = out.count
      out.append(contentsOf: payload)
      for i in start..<out.count where out[i] == 0x0a || out[i] == 0x0d { out[i] = 0x20 }
    }
    out.append(0x7d)
    out.append(0x0a)
    return out
  }
}
