// What the body of an answer is made of, as servers and the proxies before them send it:
//
//   data: {…}                     server-sent events. An event is JSON, and ends with an empty line; the empty line may be missing,
//                                 and JSON may go on in further `data` lines, or in lines without `data`
//   event: error                  the event that follows tells of a failure
//   error: {…}                    the same, as llama.cpp wrote it in 2024
//   data: [DONE]                  nothing follows
//   : PROCESSING                  a comment, also behind `data:`, where a proxy has put it there
//   {…}                           newline-delimited JSON; or one JSON, on one line or on many
//
// Lines end in LF, CR LF or CR, and may begin with a byte order mark or blanks.

import Wire

/// Cuts the body of an answer into its JSON, wherever its bytes are cut. A value.
struct AnswerFraming {
  enum Unit: Equatable {
    /// One or several values; `isError`: they stand where a failure is told.
    case json([UInt8], isError: Bool)
    /// The server's last word.
    case done
    /// Words that are no JSON, and no sign of life either.
    case remark([UInt8])
    /// More bytes than anybody waits for, without an end.
    case endless
  }

  private var lines = LineCutter()
  private var isFirstLine = true
  /// JSON that has begun.
  private var pending: [UInt8] = []
  private var extent = JSONExtent()
  private var eventName: ArraySlice<UInt8> = []
  /// A field of an event stream has been seen.
  private(set) var isEventStream = false
  /// The body has ended within JSON, or within the name of a field.
  private(set) var isCut = false

  mutating func receive(_ bytes: some Collection<UInt8>) -> [Unit] {
    var units: [Unit] = []
    for line in lines.receive(bytes) { read(line, into: &units) }
    if lines.isOverLimit || pending.count > LineCutter.limit { units.append(.endless) }
    return units
  }

  /// The body has ended: its last line may lack its end.
  mutating func end() -> [Unit] {
    var units: [Unit] = []
    if let line = lines.end() {
      let text = Self.trimmed(line[...])
      isCut = !text.isEmpty && Self.fields.contains { $0.starts(with: text) && $0.count > text.count }
      if !isCut { read(line, into: &units) }
    }
    // What is whole of it is read.
    if !pending.isEmpty {
      isCut = true
      flush(into: &units)
    }
    return units
  }

  private static let fields = ["data:", "event:", "error:", "retry:", "id:", "[DONE]", "data: [DONE]"].map { Array($0.utf8) }

  private mutating func read(_ line: [UInt8], into units: inout [Unit]) {
    var text = Self.trimmed(line[...])
    if isFirstLine, text.starts(with: [0xef, 0xbb, 0xbf]) { text = Self.trimmed(text.dropFirst(3)) }
    if !text.isEmpty { isFirstLine = false }
    let isError = eventName.elementsEqual("error".utf8)
    if let data = Self.value(of: "data:", in: text) {
      isEventStream = true
      take(data, isError: isError, into: &units)
    } else if let failure = Self.value(of: "error:", in: text) {
      isEventStream = true
      take(failure, isError: true, into: &units)
    } else if let name = Self.value(of: "event:", in: text) {
      isEventStream = true
      eventName = name
    } else if !pending.isEmpty, !text.isEmpty || extent.isInString {
      // The JSON goes on, after a line end that does not belong into it or was not escaped.
      if !extent.isInString, isAnother(text) { flush(into: &units) }
      add(line[...], isError: isError, into: &units)
    } else if text.isEmpty {
      if isEventStream { flush(into: &units) }
      eventName = []
    } else if text.first == UInt8(ascii: ":") {
      isEventStream = true
    } else if Self.value(of: "id:", in: text) == nil, Self.value(of: "retry:", in: text) == nil {
      take(text, isError: false, into: &units)
    }
  }

  /// What stands in a field, or on a line of its own.
  private mutating func take(_ data: ArraySlice<UInt8>, isError: Bool, into units: inout [Unit]) {
    // A proxy may have written a field into a field.
    if let inner = Self.value(of: "data:", in: data) { return take(inner, isError: isError, into: &units) }
    // No string goes on in another field: what was before it is broken. They go on together, for whoever reads the later one.
    if extent.isInString || isAnother(data) {
      guard LenientJSONReader.value(in: data) != nil else { return flush(into: &units) }
      pending += Array("\ndata: ".utf8) + data
      return send(isError: isError, into: &units)
    }
    if !pending.isEmpty { return add(data, isError: isError, into: &units) }
    switch data.first {
    case nil, UInt8(ascii: ":"): return
    case _ where Self.isLastWord(data): units.append(.done)
    case UInt8(ascii: "{"): add(data, isError: isError, into: &units)
    case _ where isError: units.append(.json(JSON.string(excerpt(data)).bytes, isError: true))
    case _ where Self.isSignOfLife(data): return
    case UInt8(ascii: "["): add(data, isError: false, into: &units)
    default: units.append(.remark(Array(data)))
    }
  }

  /// A whole object where the one before it cannot go on with one.
  private func isAnother(_ data: ArraySlice<UInt8>) -> Bool {
    guard let last = pending.last(where: { $0 > 32 }), data.first == UInt8(ascii: "{"), ![0x3a, 0x2c, 0x5b].contains(last) else {
      return false
    }
    return LenientJSONReader.value(in: data) != nil
  }

  private mutating func add(_ data: ArraySlice<UInt8>, isError: Bool, into units: inout [Unit]) {
    if !pending.isEmpty {
      pending.append(UInt8(ascii: "\n"))
      extent.pass(CollectionOfOne(UInt8(ascii: "\n")))
    }
    pending += data
    extent.pass(data)
    if extent.isOver { send(isError: isError, into: &units) }
  }

  /// The event has ended, with JSON that has not.
  private mutating func flush(into units: inout [Unit]) {
    if !pending.isEmpty { send(isError: false, into: &units) }
  }

  private mutating func send(isError: Bool, into units: inout [Unit]) {
    units.append(.json(pending, isError: isError))
    pending = []
    extent = JSONExtent()
  }

  // MARK: Words

  private static func value(of field: String, in line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    line.starts(with: field.utf8) ? trimmed(line.dropFirst(field.utf8.count)) : nil
  }

  private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var bytes = bytes
    while let first = bytes.first, first <= 32 { bytes.removeFirst() }
    while let last = bytes.last, last <= 32 { bytes.removeLast() }
    return bytes
  }

  /// `[DONE]`, in small letters too, in quotes, or without its brackets.
  static func isLastWord(_ data: some Collection<UInt8>) -> Bool {
    guard (4...16).contains(data.count) else { return false }
    let word = String(decoding: data, as: UTF8.self).lowercased().trimmingBlanks().filter { $0 != "\"" }
    return word == "[done]" || word == "done"
  }

  /// What some servers send to keep a connection: a short word, a number, or null.
  private static func isSignOfLife(_ data: ArraySlice<UInt8>) -> Bool {
    guard data.count <= 24 else { return false }
    let word = String(decoding: data, as: UTF8.self).lowercased().filter { $0.isLetter }
    return ["", "null", "none", "true", "false", "ok", "ping", "pong", "keepalive", "heartbeat", "processing", "event"].contains(word)
      && !data.contains(UInt8(ascii: "<"))
  }
}

/// How far JSON text that comes in pieces has come. A value.
struct JSONExtent {
  private var depth = 0
  private(set) var isInString = false
  private var isEscaped = false
  private var hasBegun = false

  /// Every bracket is closed.
  var isOver: Bool { hasBegun && depth <= 0 && !isInString }

  mutating func pass(_ bytes: some Collection<UInt8>) {
    for byte in bytes {
      if isEscaped {
        isEscaped = false
      } else if isInString {
        if byte == UInt8(ascii: "\\") { isEscaped = true } else if byte == UInt8(ascii: "\"") { isInString = false }
      } else {
        switch byte {
        case UInt8(ascii: "\""): isInString = true
        case UInt8(ascii: "{"), UInt8(ascii: "["):
          depth += 1
          hasBegun = true
        case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
        default: break
        }
      }
    }
  }
}
