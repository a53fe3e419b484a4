import Protocol
import Wire

/// The payload of a gram, as it came.
///
/// The kernel passes on what it can scan, which is more than a Swift type can hold: half a surrogate pair, a number beyond every
/// `Double`. Reading is lenient: the former is read as U+FFFD, the latter as a string with its digits, so that it can be shown.
public struct Payload: Sendable, Equatable {
  /// JSON on one line.
  public let bytes: [UInt8]

  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  public var text: String { String(decoding: bytes, as: UTF8.self) }
  public var isNull: Bool { bytes.isEmpty || bytes.elementsEqual("null".utf8) }

  /// Any JSON; null if it is none.
  public var json: JSON {
    if bytes.isEmpty { return .null }
    return (try? JSON(parsing: readable(bytes))) ?? .null
  }

  /// - Throws: why it is not of that type.
  public func value<T: Decodable>(_ type: T.Type = T.self) throws(PayloadCoding.Unreadable) -> T {
    do { return try PayloadCoding.value(type, from: bytes) } catch let strict {
      let lenient = readable(bytes)
      if lenient == bytes { throw strict }
      return try PayloadCoding.value(type, from: lenient)
    }
  }

  /// The reply of a method of `KERNEL`.
  public func reply<M: KernelMethod>(to method: M.Type) throws(ClientError) -> M.Reply {
    do { return try value(M.Reply.self) } catch { throw .unreadable(method: M.method.name, why: error.description) }
  }
}

/// JSON that the scanner has passed, with what readers refuse replaced by what they take.
func readable(_ json: [UInt8]) -> [UInt8] {
  var out: [UInt8] = []
  out.reserveCapacity(json.count)
  var at = 0
  while at < json.count {
    switch json[at] {
    case UInt8(ascii: "\""):
      let end = endOfString(json, at)
      appendWithoutHalfPairs(json[at..<end], to: &out)
      at = end
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      let end = json[at...].firstIndex { !isOfNumber($0) } ?? json.count
      let text = String(decoding: json[at..<end], as: UTF8.self)
      if let number = Double(text), number.isFinite { out += json[at..<end] } else { out.appendJSON(text) }
      at = end
    default:
      out.append(json[at])
      at += 1
    }
  }
  return out
}

private func isOfNumber(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
    true
  default: false
  }
}

/// Behind the closing quote of the string that begins there.
private func endOfString(_ json: [UInt8], _ start: Int) -> Int {
  var at = start + 1
  while at < json.count, json[at] != UInt8(ascii: "\"") { at += json[at] == UInt8(ascii: "\\") ? 2 : 1 }
  return min(at + 1, json.count)
}

private func appendWithoutHalfPairs(_ string: ArraySlice<UInt8>, to out: inout [UInt8]) {
  /// The code unit of `\uXXXX` at that place; nil: something else stands there.
  func unit(_ at: Int) -> UInt16? {
    guard at + 6 <= string.endIndex, string[at] == UInt8(ascii: "\\"), string[at + 1] == UInt8(ascii: "u") else { return nil }
    return UInt16(String(decoding: string[at + 2..<at + 6], as: UTF8.self), radix: 16)
  }
  var at = string.startIndex
  while at < string.endIndex {
    guard string[at] == UInt8(ascii: "\\") else {
      out.append(string[at])
      at += 1
      continue
    }
    var length = 2
    if let first = unit(at) {
      length = 6
      if UTF16.isLeadSurrogate(first), let second = unit(at + 6), UTF16.isTrailSurrogate(second) {
        length = 12
      } else if UTF16.isLeadSurrogate(first) || UTF16.isTrailSurrogate(first) {
        out.append(#"\ufffd"#)
        at += 6
        continue
      }
    }
    let end = min(at + length, string.endIndex)
    out += string[at..<end]
    at = end
  }
}
