import Protocol
import Wire

/// What the kernel itself says to clients: answers, errors and news, which those who watch see, too. Event loop only.
final class Replies {
  private let taps: Taps
  /// The longest line that a client takes. What the kernel itself says is no longer either.
  var frameBytes: Int

  init(taps: Taps, frameBytes: Int) {
    self.taps = taps
    self.frameBytes = frameBytes
  }

  /// To one connection. `re`: what it answers.
  func send(
    _ method: String, _ payload: [UInt8], to connection: Connection, re: [UInt8] = [], source: [UInt8] = Router.kernelName,
    trace: [UInt8] = []
  ) {
    let line = bounded(method, payload, to: connection.participant?.name ?? [], re: re, source: source, trace: trace)
    taps.show(line, except: connection)
    connection.tell(line)
  }

  /// To all connections of a name.
  func send(_ method: String, _ payload: [UInt8], to participant: Participant, source: [UInt8], trace: [UInt8] = []) {
    let line = bounded(method, payload, to: participant.name, re: [], source: source, trace: trace)
    taps.show(line, except: nil)
    for endpoint in participant.endpoints { endpoint.tell(line) }
  }

  func error(
    _ failure: Failure, to connection: Connection, re: [UInt8], source: [UInt8] = Router.kernelName, target: [UInt8] = [],
    trace: [UInt8] = []
  ) {
    send("error", Self.payload(failure, target), to: connection, re: re, source: source, trace: trace)
  }

  func error(_ failure: Failure, to participant: Participant, source: [UInt8], target: [UInt8]) {
    send("error", Self.payload(failure, target), to: participant, source: source)
  }

  /// For a connection that is not one yet.
  static func line(_ failure: Failure) -> [UInt8] {
    line("error", payload(failure, []), to: [], re: [], source: Router.kernelName, trace: [])
  }

  /// In the place of a line that is too long for its reader, the error that says so.
  private func bounded(
    _ method: String, _ payload: [UInt8], to target: [UInt8], re: [UInt8], source: [UInt8], trace: [UInt8]
  ) -> [UInt8] {
    let line = Self.line(method, payload, to: target, re: re, source: source, trace: trace)
    if line.count <= frameBytes { return line }
    let failure = Failure(
      .tooLong, "this \(method) has \(line.count) bytes, more than a line may have (\(frameBytes), bus.frame_bytes): ask for less of it")
    return Self.line("error", Self.payload(failure, []), to: target, re: re, source: source, trace: trace)
  }

  private static func line(
    _ method: String, _ payload: [UInt8], to target: [UInt8], re: [UInt8], source: [UInt8], trace: [UInt8]
  ) -> [UInt8] {
    var gram = GramLine(target: target, method: Array(method.utf8))
    gram.source = source
    gram.re = re
    gram.payload = payload
    gram.trace = trace
    return gram.bytes()
  }

  private static func payload(_ failure: Failure, _ target: [UInt8]) -> [UInt8] {
    var payload: [UInt8] = []
    payload.append(#"{"code":"#)
    payload.appendJSON(failure.code.rawValue)
    payload.append(#","message":"#)
    payload.appendJSON(failure.message)
    if (1...NameLimits.word).contains(target.count) {
      payload.append(#","target":"#)
      payload.appendJSON(target)
    }
    payload.append(0x7d)
    return payload
  }
}
