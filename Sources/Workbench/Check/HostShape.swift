import PersonaABI

/// The sizes of the tables that a persona is given.
enum HostShape {
  /// The size of this kernel's tables, with readable memory behind them.
  case plain
  /// The size of this kernel's tables, and the memory behind them cannot be read.
  case exact
  /// The size of a later kernel's tables, which have more functions at their ends.
  case larger

  struct Tables: @unchecked Sendable {
    var services: [String: UnsafeRawPointer]
    /// Whether texts that are lent end where a page ends, too.
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

  /// The value of a table's `size` member.
  func size<T>(_ type: T.Type) -> UInt32 { UInt32(MemoryLayout<T>.size + (self == .larger ? 8 * Self.added : 0)) }

  /// How many functions a later kernel has added.
  private static let added = 4

  /// Copies a table into memory that is never freed and that ends as this shape says.
  func keep<T>(_ table: T) -> UnsafeMutablePointer<T> {
    let size = MemoryLayout<T>.size
    if self == .exact, let pages = GuardedPages(count: size) {
      let pointer = pages.bytes.baseAddress!.bindMemory(to: T.self, capacity: 1)
      pointer.initialize(to: table)
      return pointer
    }
    let raw = UnsafeMutableRawPointer.allocate(byteCount: size + 8 * Self.added, alignment: 16)
    // An address that crashes when it is called: a persona built for today's tables does not know these functions.
    for slot in 0..<Self.added { raw.storeBytes(of: 1, toByteOffset: size + 8 * slot, as: UInt.self) }
    let pointer = raw.bindMemory(to: T.self, capacity: 1)
    pointer.initialize(to: table)
    return pointer
  }
}
