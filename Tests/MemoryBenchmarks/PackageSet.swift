import Foundation

extension QualitySet {
  /// Descriptions of Debian packages; the queries are debtags, and relevant is what has the tag.
  ///
  /// - Parameter lists: apt's folder of package lists. With a translation into English (`apt-get update -o
  ///   Acquire::Languages=en`) in it the descriptions are whole, else they are one line each.
  static func packages(lists: String) throws -> QualitySet {
    let files = try FileManager.default.contentsOfDirectory(atPath: lists).sorted()
    func stanzas(_ mark: String) throws -> [[String: String]] {
      try files.filter { $0.contains(mark) }.flatMap {
        try fields(of: output(of: ["/usr/lib/apt/apt-helper", "cat-file", "\(lists)/\($0)"]))
      }
    }
    var long: [String: String] = [:]
    for stanza in try stanzas("_Translation-en") {
      if let key = stanza["Description-md5"], let text = stanza["Description-en"] { long[key] = text }
    }
    // One of each source: the others say nearly the same.
    var sources: Set<String> = []
    var packages: [(id: String, text: String, tags: [String])] = []
    for stanza in shuffled(try stanzas("_Packages"), by: { $0["Package"] ?? "" }) {
      guard let id = stanza["Package"], let tags = stanza["Tag"]?.split(separator: ",").map(trimmed), let title = stanza["Description"],
        packages.count < 3000, sources.insert(stanza["Source"]?.split(separator: " ").first.map(String.init) ?? id).inserted
      else { continue }
      packages.append((id, stanza["Description-md5"].flatMap { long[$0] } ?? title, tags.filter { isAboutContent($0) }))
    }
    var queries: [String: Set<String>] = [:]
    for package in packages { for tag in package.tags { queries[tag, default: []].insert(package.id) } }
    let words = { (tag: String) in String(tag.map { $0.isLetter || $0.isNumber ? $0 : " " }).split(separator: " ").joined(separator: " ") }
    return QualitySet(
      name: "packages", origin: long.isEmpty ? "titles of packages by their tags" : "descriptions of packages by their tags",
      documents: packages.map { ($0.id, $0.text) },
      queries: shuffled(queries.filter { (3...300).contains($0.value.count) }.map { ($0.key, $0.value) }, by: \.0).map {
        (words($0.0), $0.1)
      })
  }

  /// Not how it is made, but what it is for.
  private static func isAboutContent(_ tag: String) -> Bool {
    let facet = tag.prefix { $0 != ":" }
    return !["special", "role", "implemented-in", "interface", "scope", "suite", "uitoolkit", "made-of"].contains(facet)
      && !tag.hasSuffix(":TODO")
  }

  private static func trimmed(_ text: some StringProtocol) -> String { text.trimmingCharacters(in: .whitespacesAndNewlines) }

  private static let wanted = Set(["Package", "Source", "Tag", "Description", "Description-md5", "Description-en"])

  /// Paragraphs of "Name: value", with further lines of a value indented; of the names that are wanted.
  private static func fields(of text: String) -> [[String: String]] {
    var stanzas: [[String: String]] = [[:]]
    var name: String?
    for line in Array(text.utf8).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      if line.isEmpty {
        if !stanzas[stanzas.count - 1].isEmpty { stanzas.append([:]) }
      } else if line.first == UInt8(ascii: " ") {
        guard let name else { continue }
        stanzas[stanzas.count - 1][name]? += "\n" + (line.elementsEqual(" .".utf8) ? "" : String(decoding: line.dropFirst(), as: UTF8.self))
      } else if let colon = line.firstIndex(of: UInt8(ascii: ":")) {
        let found = String(decoding: line[..<colon], as: UTF8.self)
        name = wanted.contains(found) ? found : nil
        if name != nil { stanzas[stanzas.count - 1][found] = trimmed(String(decoding: line[(colon + 1)...], as: UTF8.self)) }
      }
    }
    return stanzas.filter { !$0.isEmpty }
  }
}
