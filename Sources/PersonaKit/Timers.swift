import PersonaABI

/// Timers that the kernel keeps: `kernel.timer`. They belong to the generation and end with it, so set them in `start`.
///
/// ```swift in:Persona
///   func start() async throws {
///     kernel.timer.every(.seconds(60)) { [kernel] in try kernel.bus.send("#clock", "minute") }
///   }
/// ```
///
/// Late is possible, early is not. What a timer runs is nobody's errand: requests that it makes are made on behalf of no gram.
public struct Timers: Sendable {
  let host: HostReference

  /// Waits; a cancelled task ends the wait with an error, and so does the end of the generation.
  public nonisolated(nonsending) func sleep(for duration: Duration) async throws { try await host.sleep(duration) }

  /// Runs `body` once, after that time. Cancel the task to call it off.
  ///
  /// What `body` throws is logged as an error; that it was cancelled is not.
  @discardableResult
  public func after(_ duration: Duration, _ body: @escaping @Sendable () async throws -> Void) -> Task<Void, Never> {
    run { host in
      try await host.sleep(duration)
      try await body()
    }
  }

  /// Runs `body` again and again: the time from the end of one to the beginning of the next is `interval`. Cancel the task to end it.
  ///
  /// What `body` throws is logged as an error, and the next one comes all the same.
  @discardableResult
  public func every(_ interval: Duration, _ body: @escaping @Sendable () async throws -> Void) -> Task<Void, Never> {
    run { host in
      while true {
        try await host.sleep(interval)
        do { try await body() } catch { Self.tell(error, host) }
        try Task.checkCancellation()
      }
    }
  }

  private func run(_ body: @escaping @Sendable (HostReference) async throws -> Void) -> Task<Void, Never> {
    let host = host
    return Task.detached { do { try await body(host) } catch { Self.tell(error, host) } }
  }

  private static func tell(_ error: any Error, _ host: HostReference) {
    let error = KernelError.crossing(error)
    if error.isCancelled || error.isRetired { return }
    host.log(Int32(PERSONA_LOG_ERROR), "a timer failed: \(error.message)")
  }
}
