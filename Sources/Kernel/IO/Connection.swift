import CPlatform
import Glibc
import System
import Wire

/// One client's socket: lines in, lines out. Event loop only.
///
/// In: all connections share one read buffer; only a line's unfinished rest is kept here. Each whole
/// line goes to the router at once. Out: while nothing waits, lines are noted as pieces of the read
/// buffer and leave together in one `sendmsg` after the batch, uncopied; lines that the kernel made are
/// queued and leave together too. What the socket does not take stays in the queue and goes when it drains.
final class Connection: EventSource {
  let id: UInt64
  private let descriptor: Int32
  /// BatKernel keeps it for longer than any connection is called.
  unowned(unsafe) let router: Router
  private var tag: UInt64 = 0
  var greeting = Handshake.expected
  /// Who it is, after the first line.
  var participant: Participant? {
    didSet {
      name = participant.map { UnsafePointer($0.bytes) }
      nameCount = participant?.count ?? 0
    }
  }
  /// The participant's name, for a look at each line.
  private(set) var name: UnsafePointer<UInt8>?
  private(set) var nameCount = 0
  /// The other end's process.
  let pid: Int32

  private var partial: UnsafeMutablePointer<UInt8>?
  private var partialCount = 0
  private var partialCapacity = 0
  private var framing = Framing()

  private var queue: OutQueue
  private var pieces: UnsafeMutablePointer<iovec>?
  private var pieceCount = 0
  private var pieceBytes = 0
  private static let maximumPieces = 256
  /// So many queued bytes are sent before the batch is over, and a line of that length is sent without being queued.
  private static let batchBytes = 32 << 10
  private var interest = EPOLLIN.rawValue
  private(set) var isClosed = false
  var isDirty = false

  /// What it is subscribed to; changed by TopicRegistry alone.
  var topics: Set<[UInt8]> = []
  /// Of what it watches, so much was left out because it did not read.
  var missedTaps = 0

  /// - Throws: the descriptor cannot be watched. It is still the caller's then.
  init(id: UInt64, descriptor: Int32, pid: Int32, router: Router) throws(Errno) {
    self.id = id
    self.descriptor = descriptor
    self.pid = pid
    self.router = router
    queue = OutQueue(router.house)
    tag = try router.loop.add(descriptor, interest, self)
  }

  deinit {
    releasePartial()
    pieces?.deallocate()
  }

  func ready(_ events: UInt32) {
    if events & EPOLLOUT.rawValue != 0 { drain() }
    if !isClosed, events & (EPOLLIN.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 {
      if interest & EPOLLIN.rawValue != 0 { readReady() } else if events & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 { close() }
    }
  }

  // MARK: In

  private func readReady() {
    let router = router  // one reference for the whole batch, instead of one a line
    let shared = router.readBuffer
    var buffer = shared
    var capacity = Router.readBufferBytes
    let kept = partialCount
    if kept > 0, kept < Router.readBufferBytes / 2 {
      memcpy(shared, partial!, kept)
    } else if kept > 0 {
      reserve(min(kept * 2, router.limits.frameBytes) + Router.readBufferBytes)
      buffer = partial!
      capacity = partialCapacity
    }
    let n = bat_receive(descriptor, buffer + kept, capacity - kept)
    if n <= 0 {
      if n < 0, bat_errno() == EAGAIN || bat_errno() == EINTR { return }
      close()
      return
    }
    let end = kept + n
    var position = 0
    var search = kept
    while let newline = memchr(buffer + search, 0x0a, end - search) {
      let next = newline.assumingMemoryBound(to: UInt8.self) - buffer + 1
      switch framing.ended(length: next - position, limit: router.limits.frameBytes) {
      case .take: router.line(from: self, buffer + position, next - position)
      case .tooLong: router.frameTooLong(self)
      case .ignore: break
      }
      position = next
      search = next
      if isClosed { break }
    }
    router.flush()
    if isClosed { return }
    keep(buffer, from: position, to: end)
    if !router.quota.isReadFrom(waiting: queue.count) { updateInterest() }
  }

  private func keep(_ buffer: UnsafeMutablePointer<UInt8>, from position: Int, to end: Int) {
    var rest = end - position
    switch framing.unfinished(length: rest, limit: router.limits.frameBytes) {
    case .take: break
    case .tooLong:
      router.frameTooLong(self)
      rest = 0
    case .ignore: rest = 0
    }
    if rest > partialCapacity, !router.house.hasRoom(for: rest - partialCapacity) {
      framing.skip()
      router.houseFull(self, rest)
      rest = 0
    }
    if rest > 0 {
      if buffer == partial {
        memmove(buffer, buffer + position, rest)
      } else {
        reserve(rest)
        memcpy(partial!, buffer + position, rest)
      }
    }
    partialCount = rest
    if rest == 0, partialCapacity > 1 << 16 { releasePartial() }
  }

  private func releasePartial() {
    free(partial)
    partial = nil
    router.house.giveBack(partialCapacity)
    partialCapacity = 0
  }

  private func reserve(_ count: Int) {
    if count <= partialCapacity { return }
    router.house.take(max(count, 512) - partialCapacity)
    partialCapacity = max(count, 512)
    partial = realloc(partial, partialCapacity)?.assumingMemoryBound(to: UInt8.self)
    precondition(partial != nil, "out of memory: \(partialCapacity) bytes for an unfinished line")
  }

  // MARK: Out

  /// A line out of the read buffer, which stays as it is until `flush`. False: over the quota, not taken.
  @inline(__always)
  func pass(_ line: UnsafeMutablePointer<UInt8>, _ count: Int) -> Bool {
    if isClosed { return false }
    let waiting = queue.count + pieceBytes
    if router.quota.verdict(.message, length: count, waiting: waiting) != .take {
      flush()
      if isClosed || router.quota.verdict(.message, length: count, waiting: queue.count) != .take { return false }
    }
    if !queue.isEmpty, !router.house.hasRoom(for: count) { return false }
    if pieces == nil { pieces = .allocate(capacity: Self.maximumPieces) }
    let pieces = pieces.unsafelyUnwrapped
    if pieceCount > 0, pieces[pieceCount - 1].iov_base + pieces[pieceCount - 1].iov_len == UnsafeMutableRawPointer(line) {
      pieces[pieceCount - 1].iov_len += count
    } else {
      if pieceCount == Self.maximumPieces {
        flush()
        if isClosed { return false }
      }
      pieces[pieceCount] = iovec(iov_base: line, iov_len: count)
      pieceCount += 1
    }
    pieceBytes += count
    markDirty()
    return true
  }

  @inline(__always)
  private func markDirty() {
    if isDirty { return }
    isDirty = true
    router.dirty.append(self)
  }

  /// A line that the kernel made; it leaves with the batch. False: over the quota, not taken (never for an answer).
  @discardableResult
  func send(_ line: [UInt8], _ urgency: Quota.Urgency) -> Bool {
    sendPieces()
    if !queue.isEmpty, queue.count + line.count > Self.batchBytes { sendQueue() }
    if isClosed || !admits(urgency, line.count) { return false }
    line.withUnsafeBytes { raw in
      var sent = 0
      if queue.isEmpty, raw.count >= Self.batchBytes {
        sent = bat_send(descriptor, raw.baseAddress, raw.count)
        if sent < 0 {
          if bat_errno() != EAGAIN, bat_errno() != EINTR { return close() }
          sent = 0
        }
      }
      if sent < raw.count {
        queue.append(raw.baseAddress! + sent, raw.count - sent)
        markDirty()
      }
    }
    return !isClosed
  }

  /// A long line that others get, too; it leaves with the batch. False: over the quota, not taken.
  func send(_ line: SharedLine, _ urgency: Quota.Urgency) -> Bool {
    sendPieces()
    if isClosed || !admits(urgency, line.bytes.count) { return false }
    queue.append(line, sent: 0)
    markDirty()
    return true
  }

  /// Whether so many bytes more may wait. One that asks and does not read is cut off.
  private func admits(_ urgency: Quota.Urgency, _ count: Int) -> Bool {
    let room = router.house.hasRoom(for: count)
    switch router.quota.verdict(urgency, length: count, waiting: queue.count, houseHasRoom: room) {
    case .take: return true
    case .refuse: return false
    case .cutOff:
      router.log.warning(
        "cut off: it asks and does not read its answers", ["client": participant?.text ?? "?", "pid": pid, "waiting_bytes": queue.count])
      close()
      return false
    }
  }

  /// Bytes that wait for the client to read, or for the end of the batch.
  var waitingBytes: Int { queue.count }

  /// Sends what was noted and queued.
  func flush() {
    sendPieces()
    sendQueue()
  }

  /// Sends the noted pieces; what does not go is copied.
  private func sendPieces() {
    let count = pieceCount
    if count == 0 { return }
    pieceCount = 0
    let total = pieceBytes
    pieceBytes = 0
    if isClosed { return }
    let pieces = pieces.unsafelyUnwrapped
    var sent = 0
    let isFirst = queue.isEmpty
    if isFirst {
      sent = count == 1 ? bat_send(descriptor, pieces[0].iov_base, pieces[0].iov_len) : bat_send_vector(descriptor, pieces, count)
      if sent == total { return }
      if sent < 0 {
        if bat_errno() != EAGAIN, bat_errno() != EINTR { return close() }
        sent = 0
      }
    }
    for i in 0..<count {
      let length = pieces[i].iov_len
      if sent >= length {
        sent -= length
      } else {
        queue.append(pieces[i].iov_base + sent, length - sent)
        sent = 0
      }
    }
    // The socket is full, or the queue has not been tried yet.
    if isFirst { updateInterest() } else { markDirty() }
  }

  /// Sends what is queued, unless the socket is known to be full.
  private func sendQueue() {
    if isClosed || queue.isEmpty || interest & EPOLLOUT.rawValue != 0 { return }
    drain()
  }

  private func drain() {
    while !queue.isEmpty {
      let n = sendFirst()
      if n < 0 {
        if bat_errno() == EINTR { continue }
        if bat_errno() == EAGAIN { break }
        return close()
      }
      queue.drop(n)
    }
    updateInterest()
    if missedTaps > 0, queue.isEmpty { router.taps.reportMissed(self) }
  }

  private func sendFirst() -> Int { queue.withFirst { bat_send(descriptor, $0.baseAddress, $0.count) } }

  private func updateInterest() {
    if isClosed { return }
    let wanted = (router.quota.isReadFrom(waiting: queue.count) ? EPOLLIN.rawValue : 0) | (queue.isEmpty ? 0 : EPOLLOUT.rawValue)
    if wanted != interest {
      interest = wanted
      router.loop.change(descriptor, wanted, tag: tag)
    }
  }

  /// Ends it; what waits is tried once more, so that a last error reaches a client that reads. May be called within any other of its
  /// functions: what follows for others is done later, see ConnectionRegistry.
  func close() {
    if isClosed { return }
    isClosed = true
    if !queue.isEmpty { _ = sendFirst() }
    router.loop.remove(descriptor, tag: tag)
    Glibc.close(descriptor)
    router.connections.closed(self)
  }
}
