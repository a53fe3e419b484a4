/// The keys of a gram that the router knows, by number: 0 is any other key.
enum EnvelopeKey {
  static let names = ["", "target", "source", "method", "payload", "id", "re", "stream", "deadline_ms", "trace", "hops"]
  static let target = 1
  static let source = 2
  static let method = 3
  static let payload = 4
  static let id = 5
  static let re = 6
  static let stream = 7
  static let deadline = 8
  static let trace = 9
  static let hops = 10

  /// Which envelope key this is: an index into `names`, or 0.
  @inline(__always)
  static func number(_ k: Bytes, _ n: Int) -> Int {
    let raw = UnsafeRawPointer(k)
    switch n {
    case 2:
      if k[0] == 0x69 && k[1] == 0x64 { return 5 }
      return k[0] == 0x72 && k[1] == 0x65 ? 6 : 0
    case 4: return raw.loadUnaligned(as: UInt32.self) == 0x7370_6f68 ? 10 : 0
    case 5: return raw.loadUnaligned(as: UInt32.self) == 0x6361_7274 && k[4] == 0x65 ? 9 : 0
    case 6:
      let tail = raw.loadUnaligned(fromByteOffset: 4, as: UInt16.self)
      switch raw.loadUnaligned(as: UInt32.self) {
      case 0x6772_6174: return tail == 0x7465 ? 1 : 0
      case 0x7275_6f73: return tail == 0x6563 ? 2 : 0
      case 0x6874_656d: return tail == 0x646f ? 3 : 0
      case 0x6572_7473: return tail == 0x6d61 ? 7 : 0
      default: return 0
      }
    case 7:
      return raw.loadUnaligned(as: UInt32.self) == 0x6c79_6170 && raw.loadUnaligned(fromByteOffset: 3, as: UInt32.self) == 0x6461_6f6c
        ? 4 : 0
    case 11: return raw.loadUnaligned(as: UInt64.self) == 0x656e_696c_6461_6564 && k[8] == 0x5f && k[9] == 0x6d && k[10] == 0x73 ? 8 : 0
    default: return 0
    }
  }

  static func numberOfEscaped(_ k: Bytes, _ n: Int) -> Int {
    let name = unescaped(UnsafeRawBufferPointer(start: k, count: n))
    return name.withUnsafeBufferPointer { $0.baseAddress.map { number($0, name.count) } ?? 0 }
  }
}
