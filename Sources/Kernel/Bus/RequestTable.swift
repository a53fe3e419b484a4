import Protocol
import System
import Wire

/// The grams that have not ended, and how each ends: once. Event loop only.
///
/// A token stands here and nowhere else. Whoever looks for a request by its asker, its answerer or its target asks here, too.
final class RequestTable {
  /// What one gram costs beside its bytes, so that many small ones are counted, too.
  static let overhead = 512

  private let loop: EventLoop
  private let house: HouseBytes
  var limits: Limits
  /// So many requests have ended in an error.
  private(set) var failures: UInt64 = 0

  private var requests: [UInt64: OpenRequest] = [:]
  private var index = RequestIndex()
  private var subrequests = Subrequests()
  /// By persona: what senders have there that has not ended. A sender beyond its share is told `queue_full`.
  private var shares: [ObjectIdentifier: (target: Participant, used: Shares)] = [:]
  private var lastToken: UInt64 = 0

  init(loop: EventLoop, limits: Limits, house: HouseBytes) {
    self.loop = loop
    self.limits = limits
    self.house = house
  }

  // MARK: Looking

  /// So many are open.
  var count: Int { requests.count }
  /// Nil: it has ended.
  func request(_ token: UInt64) -> OpenRequest? { requests[token] }
  func token(askedBy owner: AnyObject, id: [UInt8]) -> UInt64? { index.token(owner: owner, id: id) }
  func tokens(askedBy owner: AnyObject) -> [UInt64] { index.tokens(owner: owner) }
  func count(askedBy owner: AnyObject) -> Int { index.count(owner: owner) }
  /// The grams that an instance has and has not answered.
  func tokens(answeredBy answerer: AnyObject) -> Set<UInt64> { index.tokens(answerer: answerer) }
  /// What a client, or a name, has been asked and has not answered.
  func tokens(askedOf target: Participant) -> [UInt64] { index.tokens(target: target) }

  /// The personas that have more grams of a sender than so many.
  func personas(holdingMoreThan count: Int, of sender: UInt64) -> [Participant] {
    shares.values.filter { $0.used.count(of: sender) > count }.map(\.target)
  }

  /// The request that a client's gram answers, if its asker still waits.
  func request(answeredBy target: Participant, asker: Participant, id: [UInt8], isPiece: Bool) -> OpenRequest? {
    index.token(answeredBy: target, asker: asker.name, id: id, isPiece: isPiece).flatMap { requests[$0] }
  }

  // MARK: Opening

  /// A token for a new gram.
  func nextToken() -> UInt64 {
    lastToken += 1
    return lastToken
  }

  /// Opens a request for the gram; returns the gram as it is to be passed on. `target` is nil for the kernel itself.
  func open(_ gram: Gram, target: Participant?) throws(Failure) -> Gram {
    let token = gram.token
    if let owner = gram.asker.owner, index.count(owner: owner) >= limits.requests {
      throw Failure(.queueFull, "\(limits.requests) requests of yours are open; wait for some to end")
    }
    var charge = 0
    if let target, target.isPersona { charge = try take(gram, at: target) }
    var gram = gram
    var forwardedID: [UInt8]?
    if let target, !target.isPersona, let asker = gram.asker.participant?.name {
      let id = gram.id
      let unique = index.forwardedID(id, token: token, asker: asker, target: target)
      if unique != id { gram = gram.replacing(gram.envelope.id, with: unique) }
      index.add(token, target: target, asker: asker, forwardedID: unique)
      forwardedID = unique
    }
    if let owner = gram.asker.owner { index.add(token, owner: owner, id: gram.asker.id) }
    let milliseconds = min(gram.milliseconds > 0 ? gram.milliseconds : limits.deadlineMilliseconds, 1 << 40)
    let deadline = MachineClock.now() + UInt64(milliseconds) * 1_000_000
    let request = OpenRequest(gram, target: target, deadline: deadline, forwardedID: forwardedID, charge: charge)
    request.timer = loop.after(milliseconds: milliseconds) { [unowned self] in
      cancel(token, Failure(.deadline, "no answer\(target.map { " from \($0.text)" } ?? "") within \(milliseconds) ms"))
    }
    requests[token] = request
    return gram
  }

  private func take(_ gram: Gram, at target: Participant) throws(Failure) -> Int {
    let (key, cost) = (ObjectIdentifier(target), gram.count + Self.overhead)
    guard house.hasRoom(for: cost) else { throw Failure(.queueFull, "this gram to \(target.text) was left out: \(house.reason)") }
    if let count = shares[key]?.used.count(of: gram.senderID), count >= limits.requests {
      throw Failure(
        .queueFull,
        "\(target.text) has \(count) grams of yours and has not finished them (bus.requests); this one was left out; send it again later")
    }
    guard shares[key]?.used.hasRoom(for: cost, of: gram.senderID, quota: limits.mailboxBytes) ?? true else {
      throw Failure(
        .queueFull,
        "\(target.text) is not keeping up: what it has of yours and has not finished fills your share of its mailbox "
          + "(\(limits.mailboxBytes) bytes for all), and this gram was left out; send it again later")
    }
    shares[key, default: (target, Shares())].used.take(cost, gram.senderID)
    house.take(cost)
    return cost
  }

  // MARK: Who answers

  func handed(_ token: UInt64, to answerer: any Answerer) {
    guard let request = requests[token] else { return }
    takenBack(token)
    request.answerer = answerer
    index.add(token, answerer: answerer)
  }

  /// The instance that had it has not begun it, and it is somebody else's now.
  func takenBack(_ token: UInt64) {
    guard let request = requests[token], let answerer = request.answerer else { return }
    index.remove(token, answerer: answerer)
    request.answerer = nil
  }

  /// Notes what an instance begins on behalf of a gram, so that it is cancelled with it; returns why it cannot.
  func begin(_ number: UInt64, of worker: any Answerer, for cause: UInt64) -> Failure? {
    guard requests[cause] != nil else { return Failure(.cancelled, "the gram on whose behalf this is asked has ended") }
    guard subrequests.count(of: cause) < limits.requests else {
      return Failure(.queueFull, "\(limits.requests) requests on behalf of this gram are open; wait for some to end")
    }
    subrequests.add(number, of: worker, to: cause)
    return nil
  }

  /// It has ended, in whatever way.
  func ended(_ number: UInt64) { subrequests.ended(number) }

  // MARK: Ending

  /// The answer. Empty: there is nothing to say. Unknown tokens have ended before: no error.
  func finish(_ token: UInt64, payload: [UInt8]) {
    guard let request = requests[token] else { return }
    request.answerer?.willEnd(token, .success(payload))
    close(token, isAnswered: false)
    request.asker.answered(request, payload.isEmpty ? payload : request.citing(payload))
  }

  /// The answerer's error. `source`: in whose name it is told, if not in the answerer's.
  func fail(_ token: UInt64, _ failure: Failure, source: [UInt8]? = nil) {
    guard let request = requests[token] else { return }
    request.answerer?.willEnd(token, .failure(failure))
    close(token, isAnswered: false)
    failures &+= 1
    request.target?.countFailure()
    request.asker.failed(request, failure, source: source ?? request.targetName)
  }

  /// Ends it because nobody waits any more; what runs on its behalf is cancelled too.
  func cancel(_ token: UInt64, _ failure: Failure) {
    guard let request = requests[token] else { return }
    request.answerer?.withdraw(token)
    let begun = subrequests.takeAll(of: token)
    fail(token, failure)
    for (number, worker) in begun.sorted(by: { $0.key < $1.key }) { worker.cancel(request: number) }
  }

  /// A client takes back its own request. False: there is none.
  func cancel(id: [UInt8], of owner: AnyObject) -> Bool {
    guard let token = index.token(owner: owner, id: id) else { return false }
    cancel(token, Failure(.cancelled, "cancelled by the asker"))
    return true
  }

  /// A client has answered it by a gram of its own, or sends a piece of the answer.
  func relay(_ gram: Gram, for request: OpenRequest, isPiece: Bool) {
    if isPiece {
      if request.wantsStream { request.asker.relayed(request, gram, isPiece: true) }
    } else {
      close(request.token, isAnswered: true)
      request.asker.relayed(request, gram, isPiece: false)
    }
  }

  /// A piece of text ahead of the reply. An asker that stops reading cannot make it grow: then the request ends.
  func stream(_ token: UInt64, _ text: [UInt8]) { show(token) { $0.asker.streamed($0, text) } }

  /// A step of the work ahead of the reply; bounded in the same way.
  func progress(_ token: UInt64, _ step: AnswerStep) { show(token) { $0.asker.stepped($0, step) } }

  private func show(_ token: UInt64, _ tell: (OpenRequest) -> Bool) {
    guard let request = requests[token], request.wantsStream, !tell(request) else { return }
    cancel(
      token,
      Failure(
        .queueFull, "the answer was ended: more of it waits than may wait for a client that does not read; read faster, and ask again"))
  }

  /// A name that nobody has any more.
  func forget(_ participant: Participant) { index.forget(participant) }

  /// Takes it off the books. Its answerer may hold a token that has ended: that is found out there.
  private func close(_ token: UInt64, isAnswered: Bool) {
    guard let request = requests.removeValue(forKey: token) else { return }
    if let timer = request.timer { loop.cancel(timer: timer) }
    if let owner = request.asker.owner { index.remove(owner: owner, id: request.asker.id) }
    if let target = request.target {
      if request.charge.bytes > 0 { giveBack(request.charge, at: target) }
      if let forwardedID = request.forwardedID, let asker = request.asker.participant?.name {
        index.remove(target: target, asker: asker, forwardedID: forwardedID, isAnswered: isAnswered)
      }
    }
    _ = subrequests.takeAll(of: token)
    if let answerer = request.answerer {
      index.remove(token, answerer: answerer)
      answerer.gramEnded(token)
    }
    request.onEnd?()
  }

  private func giveBack(_ charge: (sender: UInt64, bytes: Int), at target: Participant) {
    let key = ObjectIdentifier(target)
    house.giveBack(charge.bytes)
    shares[key]?.used.giveBack(charge.bytes, charge.sender)
    if shares[key]?.used.isEmpty == true { shares[key] = nil }
  }
}
