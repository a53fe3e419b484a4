import Foundation

extension QualitySet {
  /// Manual pages of one language.
  struct Manuals {
    /// Of the set.
    var name: String
    /// In the folder of manual pages; "" for the folder itself.
    var folder: String
    /// What the sections are called that say what a page is, and what it is about.
    var titles, texts: Set<String>
    /// How many characters a text has at least.
    var shortest: Int
    /// Whether a query says enough, and in that language.
    var isQuery: @Sendable (String) -> Bool

    static let english = Manuals(name: "manuals", folder: "", titles: ["NAME"], texts: ["DESCRIPTION"], shortest: 200) {
      $0.split(separator: " ").count > 2
    }
    static let chinese = Manuals(
      name: "zh manuals", folder: "zh_CN", titles: ["名称", "名字", "NAME", "NAME 名称", "名称 NAME"],
      texts: ["描述", "DESCRIPTION", "描述 DESCRIPTION", "DESCRIPTION 描述", "简介", "说明"], shortest: 80, isQuery: hasHanOrKana)
    static let japanese = Manuals(
      name: "ja manuals", folder: "ja", titles: ["名前", "名称", "NAME"], texts: ["説明", "DESCRIPTION", "解説"], shortest: 80,
      isQuery: hasHanOrKana)

    private static let hasHanOrKana: @Sendable (String) -> Bool = { text in
      text.count > 3 && text.unicodeScalars.contains { (0x3041...0x30FF).contains($0.value) || (0x3400...0x9FFF).contains($0.value) }
    }
  }

  /// What manual pages say under DESCRIPTION; the queries are what they say of themselves under NAME, and relevant is that page alone.
  static func manuals(folder: String, _ manuals: Manuals) throws -> QualitySet {
    let folder = manuals.folder.isEmpty ? folder : "\(folder)/\(manuals.folder)"
    var set = QualitySet(name: manuals.name, origin: "manual pages by the line under NAME, in \(folder)", documents: [], queries: [])
    var families: [Substring: Int] = [:]
    var names: Set<String> = []
    for section in ["man1", "man5", "man7", "man8"] {
      let files = (try? FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(section)")) ?? []
      for file in files.sorted() {
        let path = "\(folder)/\(section)/\(file)"
        guard try FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType == .typeRegular else { continue }
        // Some families are larger than all others together.
        let family = file.prefix { $0.isLetter || $0.isNumber }
        families[family, default: 0] += 1
        if families[family]! > 40 { continue }
        let page = sections(of: try output(of: ["/bin/zcat", "-f", path]))
        func text(_ titles: Set<String>) -> String? { titles.sorted().lazy.compactMap { page[$0] }.first }
        guard let name = text(manuals.titles)?.components(separatedBy: " - "), name.count > 1, let text = text(manuals.texts),
          text.count > manuals.shortest
        else { continue }
        let query = name[1...].joined(separator: " - ")
        guard manuals.isQuery(query), names.insert(query).inserted else { continue }
        let id = "\(section)/\(file)"
        set.documents.append((id, String(text.prefix(2000))))
        set.queries.append((query, [id]))
      }
    }
    set.queries = shuffled(set.queries) { $0.text }
    return set
  }

  /// The plain text of each section of a page in troff, as far as retrieval needs it.
  private static func sections(of troff: String) -> [String: String] {
    var sections: [String: String] = [:]
    var section = ""
    for line in troff.split(separator: "\n") {
      var line = String(line)
      if line.hasPrefix(".") {
        let words = line.split(separator: " ", maxSplits: 1)
        let rest = words.count > 1 ? words[1].replacingOccurrences(of: "\"", with: "") : ""
        switch words[0] {
        case ".SH", ".Sh":
          section = rest.uppercased()
          continue
        case ".Nd": line = "- " + rest
        case ".B", ".I", ".BR", ".IR", ".RB", ".RI", ".BI", ".IB", ".Nm", ".Fl", ".Ar", ".Pa", ".Xr", ".Em", ".Sy", ".SS", ".Ss", ".IP":
          line = rest
        default: continue
        }
      }
      sections[section, default: ""] += plain(line) + " "
    }
    return sections.mapValues { $0.trimmingCharacters(in: .whitespaces) }
  }

  /// Without changes of font and size and the like.
  private static func plain(_ line: String) -> String {
    var plain: [UInt8] = []
    var rest = Array(line.utf8)[...]
    /// Skips "X", "(XX" or "[XXX]".
    func name() -> ArraySlice<UInt8> {
      switch rest.popFirst() {
      case UInt8(ascii: "("):
        defer { rest = rest.dropFirst(2) }
        return rest.prefix(2)
      case UInt8(ascii: "["):
        let name = rest.prefix { $0 != UInt8(ascii: "]") }
        rest = rest.dropFirst(name.count + 1)
        return name
      default: return []
      }
    }
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "\\") else {
        plain.append(byte)
        continue
      }
      switch rest.first.map({ Character(UnicodeScalar($0)) }) {
      case "f", "*":
        rest.removeFirst()
        _ = name()
      case "s": rest = rest.dropFirst().drop { UInt8(ascii: "+")...UInt8(ascii: "9") ~= $0 }
      case "(", "[": if ["em", "en", "hy"].contains(String(decoding: name(), as: UTF8.self)) { plain.append(UInt8(ascii: "-")) }
      case "&", "|", "^", "%", "/", ",": rest.removeFirst()
      case "\"": rest = []
      default: break
      }
    }
    return String(decoding: plain, as: UTF8.self)
  }
}
