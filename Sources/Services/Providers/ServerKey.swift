import Glibc

/// What a server wants to see before it answers: read from an environment variable or a file, and never to be shown.
struct ServerKey: Sendable {
  /// Where it is said to be; nil: none is needed.
  enum Source: Equatable, Sendable {
    case variable(String)
    case file(String)

    /// For people: "the environment variable X".
    var text: String {
      switch self {
      case .variable(let name): "the environment variable \(name)"
      case .file(let path): "the file \(path)"
      }
    }
  }

  let source: Source?
  private let key: String?
  /// Why the file cannot be used.
  private let fault: String?

  init(variable: String?, environment: (String) -> String?) {
    source = variable.map { .variable($0) }
    key = variable.flatMap(environment).map(Self.trimmed).flatMap { $0.isEmpty ? nil : $0 }
    fault = nil
  }

  /// Reads the file now. One that others may read or change is no place for a key, and is refused.
  init(file: String) {
    source = .file(file)
    var fault: String?
    key = Self.contents(of: file, &fault).map(Self.trimmed)
    self.fault = fault ?? (key?.isEmpty == true ? "is empty: write the key into it" : nil)
  }

  /// Without blanks, and without the byte order mark that some editors write.
  private static func trimmed(_ text: String) -> String {
    let isMarked = text.unicodeScalars.first == "\u{FEFF}"
    return String(String(text.unicodeScalars.dropFirst(isMarked ? 1 : 0)).trimmingBlanks())
  }

  private static func contents(of path: String, _ fault: inout String?) -> String? {
    // A pipe in its place must not hold the chat thread up.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      fault = "cannot be read: \(String(cString: strerror(errno)))"
      return nil
    }
    defer { close(descriptor) }
    var facts = stat()
    guard fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
      fault = "is no file"
      return nil
    }
    guard facts.st_mode & 0o077 == 0, facts.st_uid == geteuid() || facts.st_uid == 0 else {
      fault = "can be read by others (mode \(String(facts.st_mode & 0o777, radix: 8))): run `chmod 600 \(path)`"
      return nil
    }
    var buffer = [UInt8](repeating: 0, count: 16 << 10)
    let count = read(descriptor, &buffer, buffer.count)
    guard count >= 0 else {
      fault = "cannot be read: \(String(cString: strerror(errno)))"
      return nil
    }
    guard count < buffer.count, let text = String(validating: buffer[..<count], as: UTF8.self) else {
      fault = "is longer than a key, or no text"
      return nil
    }
    return text
  }

  /// Why it cannot be used, and what to do; `section` of personas.toml names it.
  func obstacle(section: String) -> String? {
    switch source {
    case nil: return nil
    case .file(let path)?:
      if let fault { return "the file \(path), which [\(section)] api_key_file names, \(fault)" }
    case .variable(let variable)?:
      if key == nil {
        return "the environment variable \(variable), which [\(section)] api_key_env names, is not set: "
          + "set it before batkernel starts, or remove api_key_env"
      }
    }
    guard let key, let source, key.utf8.contains(where: { $0 < 32 || $0 >= 127 }) else { return nil }
    return "the key in \(source.text) has a line break or another character that no key has: write the key alone, as its provider shows it"
  }

  var header: String? { key.map { "Authorization: Bearer \($0)" } }

  /// The text without the key, should a server have quoted it.
  func redacted(_ text: String) -> String {
    guard let key, key.utf8.count >= 4 else { return text }
    return text.replacing(key, with: "…")
  }
}
