/// Who is subscribed to which topic. Topics carry their '#'. Event loop only.
final class TopicRegistry {
  private var topics: [[UInt8]: [any Endpoint]] = [:]

  func subscribers(of topic: [UInt8]) -> [any Endpoint] { topics[topic] ?? [] }

  /// Returns how many subscribers there are now.
  @discardableResult
  func subscribe(_ endpoint: any Endpoint, to topic: [UInt8]) -> Int {
    if endpoint.topics.insert(topic).inserted { topics[topic, default: []].append(endpoint) }
    return topics[topic]?.count ?? 0
  }

  @discardableResult
  func unsubscribe(_ endpoint: any Endpoint, from topic: [UInt8]) -> Int {
    if endpoint.topics.remove(topic) != nil {
      topics[topic]?.removeAll { $0 === endpoint }
      if topics[topic]?.isEmpty == true { topics[topic] = nil }
    }
    return topics[topic]?.count ?? 0
  }

  /// From now on it is subscribed to these and no others.
  func set(_ wanted: Set<[UInt8]>, of endpoint: any Endpoint) {
    for topic in endpoint.topics.subtracting(wanted) { unsubscribe(endpoint, from: topic) }
    for topic in wanted.subtracting(endpoint.topics) { subscribe(endpoint, to: topic) }
  }

  /// Without their '#', in the order of their names.
  var counts: [(topic: String, subscribers: Int)] {
    topics.map { (String(decoding: $0.key.dropFirst(), as: UTF8.self), $0.value.count) }.sorted { $0.0 < $1.0 }
  }
}
