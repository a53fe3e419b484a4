/// Where the parts of one gram lie in its line; the router's whole view of a message.
///
/// The line is one JSON object (docs/WIRE.md). The scanner has checked all of it, and remembers only
/// the top-level keys that routing needs. No tree is built and nothing is copied: an envelope is
/// meaningless without the bytes it was scanned from.
public struct Envelope: Sendable, Equatable {
  /// A piece of the line: offsets in bytes. Absent if `start` is negative.
  public struct Field: Sendable, Equatable {
    public var start: Int32 = -1
    public var count: Int32 = 0
    /// It is a string with backslash escapes in it, which must be resolved before it is compared.
    public var escaped = false

    @inlinable public init() {}
    @inlinable public init(start: Int, count: Int, escaped: Bool = false) {
      self.start = Int32(truncatingIfNeeded: start)
      self.count = Int32(truncatingIfNeeded: count)
      self.escaped = escaped
    }
    @inlinable public var isPresent: Bool { start >= 0 }
    @inlinable public var range: Range<Int> { Int(start)..<Int(start) + Int(count) }
  }

  /// Strings: the bytes between the quotes.
  public var target = Field()
  public var source = Field()
  public var method = Field()
  public var trace = Field()
  /// A string with its quotes, or a number, as it stands in the line: compared byte for byte.
  public var id = Field()
  public var re = Field()
  /// Any JSON value.
  public var payload = Field()
  public var deadlineMilliseconds: Int64 = 0
  public var hops: Int32 = 0
  public var stream = false
  /// Bytes of the line without the white space around the object: where the object begins and ends.
  public var object = Field()

  @inlinable public init() {}
}

/// Why a line is no gram.
public enum EnvelopeError: Error, Sendable, Equatable {
  /// Not one JSON object: the offset of the first byte that does not fit.
  case syntax(offset: Int)
  /// An envelope key has a value of the wrong kind, or stands there twice.
  case key(String)
  /// A string is not UTF-8.
  case encoding

  /// For people; ends in what to do.
  public var message: String {
    switch self {
    case .syntax(let offset):
      "not a JSON object on one line: byte \(offset) does not fit; send one object per line, without line breaks in it"
    case .key(let key): "\"\(key)\" has a value of the wrong kind or stands there twice; see docs/WIRE.md"
    case .encoding: "a string is not UTF-8; encode the line in UTF-8"
    }
  }
}
