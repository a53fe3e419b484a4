/// One part's way into the kernel's log: `log.info("listening", ["socket": path])`.
///
/// A value to copy freely, for any thread. A line that is below its part's level costs one atomic
/// load; neither message nor fields are computed.
public struct Log: Sendable {
  public typealias Fields = KeyValuePairs<String, any LogValue>

  private let part: LogPart
  private let output: LogOutput

  init(part: LogPart, output: LogOutput) {
    self.part = part
    self.output = output
  }

  /// Whether lines of this level are written at the moment.
  public func writes(_ level: LogConfiguration.Level) -> Bool { level.rawValue >= part.level.load(ordering: .relaxed) }

  public func debug(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> Fields = [:]) {
    if writes(.debug) { output.write(.debug, part.name, message(), fields()) }
  }
  public func info(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> Fields = [:]) {
    if writes(.info) { output.write(.info, part.name, message(), fields()) }
  }
  public func warning(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> Fields = [:]) {
    if writes(.warning) { output.write(.warning, part.name, message(), fields()) }
  }
  public func error(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> Fields = [:]) {
    if writes(.error) { output.write(.error, part.name, message(), fields()) }
  }
  /// For a level that is known only at run time.
  public func write(_ level: LogConfiguration.Level, _ message: @autoclosure () -> String, _ fields: @autoclosure () -> Fields = [:]) {
    if writes(level) { output.write(level, part.name, message(), fields()) }
  }
}
