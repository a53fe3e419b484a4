import PersonaABI

/// How large the tables are that a persona is given.
enum HostShape {
  /// As this kernel's, with room behind them.
  case plain
  /// As this kernel's, and what lies behind them cannot be read.
  case exact
  /// As those of a later kernel: more functions behind ours, which an older persona must not know.
  case larger

  struct Tables: @unchecked Sendable {
    var services: [String: UnsafeRawPointer]
    /// Also the texts that are lent end where a page ends.
    var isGuarded: Bool
  }

  static func tables(_ shape: HostShape) -> Tables {
    switch shape {
    case .plain: plainTables
    case .exact: exactTables
    case .larger: largerTables
    }
  }
  private static let plainTables = HostShape.plain.make()
  private static let exactTables = HostShape.exact.make()
  private static let largerTables = HostShape.larger.make()

  private func make() -> Tables {
    Tables(
      services: [
        "bus/1": UnsafeRawPointer(keep(HostTable.bus(self))), "llm/1": UnsafeRawPointer(keep(HostTable.llm(self))),
        "rag/1": UnsafeRawPointer(keep(HostTable.rag(self))),
        "state/1": UnsafeRawPointer(keep(HostTable.state(self))), "timer/1": UnsafeRawPointer(keep(HostTable.timer(self))),
        "log/1": UnsafeRawPointer(keep(HostTable.log(self))), "config/1": UnsafeRawPointer(keep(HostTable.config(self))),
      ], isGuarded: self == .exact)
  }

  /// What `size` says of a table.
  func size<T>(_ type: T.Type) -> UInt32 { UInt32(MemoryLayout<T>.size + (self == .larger ? 8 * Self.added : 0)) }

  /// How many functions a later kernel has added.
  private static let added = 4

  /// A table that stays for ever, with this shape's memory behind it.
  func keep<T>(_ table: T) -> UnsafeMutablePointer<T> {
    let size = MemoryLayout<T>.size
    if self == .exact, let pages = GuardedPages(count: size) {
      let pointer = pages.bytes.baseAddress!.bindMemory(to: T.self, capacity: 1)
      pointer.initialize(to: table)
      return pointer
    }
    let raw = UnsafeMutableRawPointer.allocate(byteCount: size + 8 * Self.added, alignment: 16)
    // Nobody who was built for these tables may call what stands there.
    for slot in 0..<Self.added { raw.storeBytes(of: 1, toByteOffset: size + 8 * slot, as: UInt.self) }
    let pointer = raw.bindMemory(to: T.self, capacity: 1)
    pointer.initialize(to: table)
    return pointer
  }
}
