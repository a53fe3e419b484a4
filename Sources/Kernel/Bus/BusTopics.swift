import Wire

/// Topics, and taps that watch.
extension Router {
  // MARK: Topics

  /// Topics carry their '#'. Returns how many subscribers there are now.
  func subscribe(_ topic: [UInt8], _ connection: Connection) -> Int {
    if connection.topics.insert(topic).inserted { topics[topic, default: Topic()].connections.append(connection) }
    return topics[topic]?.count ?? 0
  }

  func unsubscribe(_ topic: [UInt8], _ connection: Connection) -> Int {
    if connection.topics.remove(topic) != nil { dropSubscriber(topic) { $0.connections.removeAll { $0 === connection } } }
    return topics[topic]?.count ?? 0
  }

  /// A persona's subscriptions are those of its live generation.
  func setTopics(of slot: PersonaSlot, _ wanted: Set<[UInt8]>) {
    for topic in slot.topics.subtracting(wanted) { dropSubscriber(topic) { $0.slots.removeAll { $0 === slot } } }
    for topic in wanted.subtracting(slot.topics) { topics[topic, default: Topic()].slots.append(slot) }
    slot.topics = wanted
  }

  func dropSubscriber(_ topic: [UInt8], _ body: (inout Topic) -> Void) {
    guard topics[topic] != nil else { return }
    body(&topics[topic]!)
    if topics[topic]!.count == 0 { topics[topic] = nil }
  }

  var topicCounts: [(String, Int)] {
    topics.map { (String(decoding: $0.key.dropFirst(), as: UTF8.self), $0.value.count) }.sorted { $0.0 < $1.0 }
  }

  // MARK: Taps

  func setTap(_ connection: Connection, _ on: Bool) {
    if on == connection.taps { return }
    connection.taps = on
    if on { taps.append(connection) } else { taps.removeAll { $0 === connection } }
  }

  func tap(_ line: [UInt8], except: Connection? = nil) {
    if taps.isEmpty { return }
    line.withUnsafeBytes { tap($0.dropLast(), except: except) }
  }

  func tap(_ gram: Slice<UnsafeRawBufferPointer>, except: Connection?) {
    for connection in taps where connection !== except {
      var payload: [UInt8] = []
      payload.append(#"{"gram":"#)
      payload.append(contentsOf: gram)
      payload.append(0x7d)
      var copy = GramLine(target: connection.participant?.name ?? [], method: Array("tap".utf8))
      copy.source = Self.kernelName
      copy.payload = payload
      if !connection.send(copy.bytes(), .copy) { connection.missedTaps += 1 }
    }
  }

  func reportMissedTaps(_ connection: Connection) {
    let payload = Array("{\"missed\":\(connection.missedTaps)}".utf8)
    connection.missedTaps = 0
    var copy = GramLine(target: connection.participant?.name ?? [], method: Array("tap".utf8))
    copy.source = Self.kernelName
    copy.payload = payload
    connection.send(copy.bytes(), .copy)
  }
}
