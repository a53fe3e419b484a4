import Wire

/// Clients that watch what others send. Event loop only.
final class Taps {
  private var connections: [Connection] = []
  /// Called when the first one begins, and when the last one has ended.
  var onChange: (_ isTapped: Bool) -> Void = { _ in }

  func set(_ connection: Connection, _ isOn: Bool) {
    let was = connections.isEmpty
    connections.removeAll { $0 === connection }
    if isOn { connections.append(connection) }
    if was != connections.isEmpty { onChange(!connections.isEmpty) }
  }

  /// Shows a line, newline included, to all but the one that it is from or for.
  func show(_ line: [UInt8], except: Connection?) {
    if connections.isEmpty { return }
    line.withUnsafeBytes { show($0, except: except) }
  }

  func show(_ gram: Gram) {
    if !connections.isEmpty { gram.line.withBytes { show($0, except: gram.sender as? Connection) } }
  }

  /// The client reads again: it is told how much it has missed.
  func reportMissed(_ connection: Connection) {
    let payload = Array("{\"missed\":\(connection.missedTaps)}".utf8)
    connection.missedTaps = 0
    connection.send(Self.line(payload, to: connection), .copy)
  }

  private func show(_ line: UnsafeRawBufferPointer, except: Connection?) {
    for connection in connections where connection !== except {
      var payload: [UInt8] = []
      payload.reserveCapacity(line.count + 9)
      payload.append(#"{"gram":"#)
      payload.append(contentsOf: line.dropLast())
      payload.append(0x7d)
      if !connection.send(Self.line(payload, to: connection), .copy) { connection.missedTaps += 1 }
    }
  }

  private static func line(_ payload: [UInt8], to connection: Connection) -> [UInt8] {
    var gram = GramLine(target: connection.participant?.name ?? [], method: Array("tap".utf8))
    gram.source = Router.kernelName
    gram.payload = payload
    return gram.bytes()
  }
}
