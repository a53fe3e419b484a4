import Wire

/// What `ReplayHost` wants to be played, as its first line says.
struct ReplayJob {
  let library: String
  let recording: Recording
  /// How long one message may take.
  let limitMilliseconds: Int
  /// Questions that the recording does not hold are for the host's model.
  let isLive: Bool
  /// It begins when the host says `go`, and nothing has a time limit: there is a debugger.
  let waits: Bool

  /// Nil: it is no such line.
  init?(_ line: JSON) {
    guard let library = line["library"]?.string, let json = line["recording"], let recording = try? Recording(json) else { return nil }
    self.library = library
    self.recording = recording
    limitMilliseconds = min(max(1, line["limit_ms"]?.int ?? 30_000), 86_400_000)
    isLive = line["live"] == true
    waits = line["wait"] == true
  }
}
