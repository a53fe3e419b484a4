import Glibc
import System
import Wire

/// Finds the configuration file that a library is probably meant for, and reads it by the kernel's own program.
public enum NearbyConfiguration {
  /// A configuration file could not be read.
  public struct Unreadable: Error, Sendable, CustomStringConvertible {
    public let description: String
  }

  /// The nearest personas.toml: in the current folder, else in the library's folder or one above it. nil if there is none.
  public static func path(near library: String) -> String? {
    if access("personas.toml", F_OK) == 0 { return PersonaSource.real("personas.toml") }
    guard let real = PersonaSource.real(library) else { return nil }
    var folder = real[...]
    while let slash = folder.lastIndex(of: "/") {
      folder = folder[..<slash]
      if access("\(folder)/personas.toml", F_OK) == 0 { return "\(folder)/personas.toml" }
    }
    return nil
  }

  /// The parts of the personas in a file; `kernel` is the program batkernel, which reads it.
  public static func parts(of file: String, kernel: String) throws(Unreadable) -> [CheckPart] {
    let outcome: BuildProcess.Outcome
    do throws(Subprocess.Failed) {
      outcome = try BuildProcess(BuildPlan.Step(words: [kernel, "--check", "--json", "--config", file], folder: ".")).wait()
    } catch { throw Unreadable(description: error.description) }
    guard let json = try? JSON(parsing: outcome.output.utf8) else {
      throw Unreadable(description: "\(kernel) cannot read \(file): \(outcome.output)")
    }
    let findings = (json["findings"]?.array ?? []).map(\.plain)
    guard findings.isEmpty else { throw Unreadable(description: findings.joined(separator: "\n")) }
    return (json["personas"]?.array ?? []).compactMap { persona in
      guard let name = persona["name"]?.string, let config = persona["config"] else { return nil }
      return CheckPart(file: file, name: name, library: persona["library"]?.string, config: config)
    }
  }
}
