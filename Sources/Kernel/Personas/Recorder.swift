import Wire

/// Keeps the last grams that a persona has worked on, with all that came of them, as they pass. Event loop only.
///
/// What it keeps is what is there already (lines and payloads, not copied); JSON trees are made when somebody asks.
final class Recorder {
  /// How many grams are kept; 0: none.
  var limit: Int { didSet { trim() } }
  /// What all that is kept may weigh, in bytes.
  static let weight = 4 << 20
  /// Called when a gram has ended.
  var onEnd: (() -> Void)?

  private enum Want {
    case chat([UInt8])
    case gram(target: [UInt8], method: [UInt8], payload: [UInt8], isAsk: Bool)
  }
  private enum End {
    case payload([UInt8])
    case failure(Failure)
  }
  private struct Take {
    var mail: Mail
    var generation: Int
    var began: UInt64
    var milliseconds = 0
    var steps: [(request: UInt64, want: Want, end: End?)] = []
    var end: End?
    var weight: Int
  }
  private var open: [UInt64: Take] = [:]
  /// The gram on whose behalf a request was made.
  private var causes: [UInt64: UInt64] = [:]
  private var ended: [Take] = []
  private var used = 0

  init(limit: Int) { self.limit = limit }

  // MARK: What passes

  func began(_ mail: Mail, generation: Int) {
    if limit == 0 { return }
    open[mail.token] = Take(mail: mail, generation: generation, began: EventLoop.now(), weight: mail.line.count + 256)
  }

  /// It goes to another generation, or to nobody.
  func gaveBack(_ token: UInt64) {
    guard let take = open.removeValue(forKey: token) else { return }
    for step in take.steps { causes[step.request] = nil }
  }

  func chat(_ request: UInt64, cause: UInt64, question: [UInt8]) { add(request, cause, .chat(question), question.count) }

  /// `request` 0: it is only sent.
  func gram(_ request: UInt64, cause: UInt64, target: [UInt8], method: [UInt8], payload: [UInt8]) {
    add(request, cause, .gram(target: target, method: method, payload: payload, isAsk: request != 0), payload.count)
  }

  private func add(_ request: UInt64, _ cause: UInt64, _ want: Want, _ bytes: Int) {
    guard cause != 0, open[cause] != nil else { return }
    open[cause]!.steps.append((request, want, nil))
    open[cause]!.weight += bytes + 128
    if request != 0 { causes[request] = cause }
  }

  func ended(request: UInt64, _ result: Result<[UInt8], Failure>) {
    guard let cause = causes.removeValue(forKey: request), let index = open[cause]?.steps.firstIndex(where: { $0.request == request })
    else {
      return
    }
    switch result {
    case .success(let payload):
      open[cause]!.steps[index].end = .payload(payload)
      open[cause]!.weight += payload.count
    case .failure(let failure): open[cause]!.steps[index].end = .failure(failure)
    }
  }

  func ended(_ token: UInt64, _ result: Result<[UInt8], Failure>) {
    guard var take = open.removeValue(forKey: token) else { return }
    for step in take.steps { causes[step.request] = nil }
    switch result {
    case .success(let payload):
      take.end = .payload(payload)
      take.weight += payload.count
    case .failure(let failure): take.end = .failure(failure)
    }
    take.milliseconds = Int((EventLoop.now() - take.began) / 1_000_000)
    ended.append(take)
    used += take.weight
    trim()
    onEnd?()
  }

  private func trim() {
    var dropped = 0
    while dropped < ended.count, ended.count - dropped > limit || used > Self.weight {
      used -= ended[dropped].weight
      dropped += 1
    }
    ended.removeFirst(dropped)
    if limit == 0 { (open, causes) = ([:], [:]) }
  }

  // MARK: What is kept

  /// The last ones, oldest first.
  func messages(last: Int, failedOnly: Bool) -> [Recording.Message] {
    let wanted = failedOnly ? ended.filter { if case .failure = $0.end { true } else { false } } : ended
    return wanted.suffix(max(0, last)).map(Self.message)
  }

  private static func message(_ take: Take) -> Recording.Message {
    let mail = take.mail
    func field(_ field: Envelope.Field) -> [UInt8] {
      let raw = Array(mail.line[field.range])
      return field.escaped ? raw.withUnsafeBytes(unescaped) : raw
    }
    return Recording.Message(
      gram: .init(
        source: text(mail.source), method: text(field(mail.envelope.method)),
        payload: mail.envelope.payload.isPresent ? json(Array(mail.line[mail.envelope.payload.range])) : .null, topic: text(mail.topic),
        trace: text(mail.trace)),
      steps: take.steps.map { step in
        let errand: Errand =
          switch step.want {
          case .chat(let question): .chat(json(question))
          case .gram(let target, let method, let payload, true): .ask(target: text(target), method: text(method), payload: json(payload))
          case .gram(let target, let method, let payload, false): .send(target: text(target), method: text(method), payload: json(payload))
          }
        return .init(errand: errand, end: step.end.map(end))
      },
      end: take.end.map(end) ?? .silence, generation: take.generation, milliseconds: take.milliseconds)
  }

  private static func end(_ end: End) -> Recording.End {
    switch end {
    case .payload(let payload): payload.isEmpty ? .silence : .result(json(payload))
    case .failure(let failure): .failure(failure)
    }
  }

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  /// What is here was checked to be JSON when it came; empty is null.
  private static func json(_ bytes: [UInt8]) -> JSON { (try? JSON(parsing: bytes)) ?? .null }
}
