import CPlatform

/// How this process uses memory.
public enum MemoryUse {
  /// Large blocks go back to the system when they are freed: a library that was read on a thread must not stay in that thread's arena.
  ///
  /// Once, before other threads start.
  public static func returnLargeBlocks() { bat_return_large_blocks() }
}
