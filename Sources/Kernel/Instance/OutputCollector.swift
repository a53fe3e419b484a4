import PersonaABI

/// Collects what a persona writes into a sink, up to a limit. Lane only.
final class OutputCollector {
  private(set) var bytes: [UInt8] = []
  /// More was written than the limit, and refused.
  private(set) var hasOverflowed = false
  private let limit: Int

  init(limit: Int) { self.limit = limit }

  /// Lends a sink for the length of one call.
  func collect(_ call: (UnsafePointer<persona_sink>) -> persona_status) -> persona_status {
    withExtendedLifetime(self) {
      var sink = persona_sink(context: Unmanaged.passUnretained(self).toOpaque()) { context, source, count in
        guard let context else { return Int32(PERSONA_E_INVALID) }
        return Unmanaged<OutputCollector>.fromOpaque(context).takeUnretainedValue().add(source, count)
      }
      return call(&sink)
    }
  }

  private func add(_ source: UnsafeRawPointer?, _ count: Int) -> persona_status {
    // A size_t of more than half of the address space comes in as a negative number.
    if count < 0 || count > limit - bytes.count {
      hasOverflowed = true
      return Int32(PERSONA_E_TOO_LONG)
    }
    if count > 0 {
      guard let source else { return Int32(PERSONA_E_INVALID) }
      bytes.append(contentsOf: UnsafeRawBufferPointer(start: source, count: count))
    }
    return 0
  }
}
