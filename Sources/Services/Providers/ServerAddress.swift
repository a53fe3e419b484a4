/// Where a server is that speaks HTTP: "http://host:port/path", "https://…", "unix:/path/to.sock", "unix:/path/to.sock:/path".
struct ServerAddress: Equatable, Sendable {
  /// What paths are appended to. No slash at its end.
  var base: String
  var socketPath: String?

  /// In bytes.
  static let longest = 2048

  /// How addresses are written, for people.
  static let forms = "http://HOST:PORT, https://HOST/v1 or unix:/PATH/TO.sock"

  /// Nil if it is none. `usualPath` is meant where the address has no path.
  init?(_ written: String, usualPath: String = "") {
    guard written.utf8.count <= Self.longest, !written.utf8.contains(where: { $0 <= 32 || $0 == 127 }) else { return nil }
    var url = written[...]
    while url.last == "/" { url.removeLast() }
    if url.hasPrefix("unix:") {
      var path = url.dropFirst("unix:".count)
      if path.hasPrefix("//") { path = path.dropFirst(2) }
      guard path.first == "/" else { return nil }
      if let colon = path.lastIndex(of: ":"), path[path.index(after: colon)...].hasPrefix("/") {
        base = "http://localhost" + path[path.index(after: colon)...]
        socketPath = String(path[..<colon])
      } else {
        base = "http://localhost" + usualPath
        socketPath = String(path)
      }
      return
    }
    let isSecure = url.hasPrefix("https://")
    guard isSecure || url.hasPrefix("http://") else { return nil }
    let rest = url.dropFirst(isSecure ? 8 : 7)
    guard let first = rest.first, first != "/" else { return nil }
    base = rest.contains("/") ? String(url) : url + usualPath
  }
}
