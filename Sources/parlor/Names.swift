import Client

/// Finding the persona that somebody means.
enum Names {
  /// The name as the kernel writes it: an exact match, else one that differs in case only, else as it was typed.
  static func resolve(_ typed: String, among personas: [String]) -> String { find(typed, among: personas) ?? typed }

  /// The same; nil: nobody is called so.
  static func find(_ typed: String, among personas: [String]) -> String? {
    personas.contains(typed) ? typed : personas.first { $0.lowercased() == typed.lowercased() }
  }

  /// Whom to talk to when nobody is named: BRICK if there, else the first.
  static func usual(among personas: [String]) -> String? {
    personas.contains("BRICK") ? "BRICK" : personas.first
  }

  /// An error that also says who is there, if it is about somebody who is not.
  static func explain(_ error: CLIError, personas: [String]) -> CLIError {
    guard error.exit == .noPersona else { return error }
    let here = personas.isEmpty ? "no persona is loaded" : "here are: " + personas.map(\.shownName).joined(separator: ", ")
    return CLIError(.noPersona, "\(error.message); \(here)")
  }
}

extension KernelConnection {
  /// Does something that is about a persona: the error that it is not there also says who is.
  func explaining<T>(_ body: () throws -> T) throws -> T {
    do { return try body() } catch { throw Names.explain(CLIError(error), personas: personas) }
  }
}
