import Wire

/// Everything that is wrong with a configuration file.
struct ConfigurationError: Error, Equatable, CustomStringConvertible {
  /// `personas.toml:12:3: bus.frame_byts: unknown key; did you mean frame_bytes?`
  struct Finding: Equatable, CustomStringConvertible {
    var file: String
    /// nil when it is about the file as a whole.
    var position: TOMLValue.Position?
    /// The whole key, as in bus.frame_bytes; nil when the text is not TOML.
    var key: String?
    var message: String

    var description: String {
      // A key may be any text that TOML can quote.
      ((position.map { "\(file):\($0.line):\($0.column)" } ?? file) + ": " + (key.map { "\($0): " } ?? "") + message).visible
    }
  }

  /// In the order of the file; never empty.
  var findings: [Finding]

  var description: String { findings.map(\.description).joined(separator: "\n") }
}
