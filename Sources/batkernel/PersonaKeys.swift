import Kernel
import Wire

/// Holds each persona's table against the keys that its library declares. Libraries are read, and nothing of them is run.
final class PersonaKeys {
  private let folders: [String]
  /// By `library`; of one that cannot be read, nil.
  private var abouts: [String: About?] = [:]

  /// `folders`: where libraries are looked for.
  init(folders: [String]) { self.folders = folders }

  /// Notes in the table what does not suit. Of a library that cannot be read, and of one that does not say which keys it reads,
  /// nothing is known: then only slips in the keys of every persona are noted.
  func check(_ persona: PersonaConfiguration, _ table: TableReader) {
    guard let about = about(of: persona.library), about.configuration != nil, let json = try? JSON(parsing: persona.json) else {
      return table.refuseSlips()
    }
    for finding in ConfigurationCheck(json, for: about).findings { table.note(finding.key, finding.message) }
  }

  private func about(of library: String) -> About? {
    if let known = abouts[library] { return known }
    let about = try? LibraryFile(reading: LibraryFile.resolve(library, in: folders)).check(services: HostTables.services).about
    abouts[library] = .some(about)
    return about
  }
}

extension TableReader {
  /// Reads `tools`: names as "PERSONA.method" or "PERSONA.*".
  func checkTools() {
    for tool in strings("tools", mayBeEmpty: true) ?? [] {
      let parts = tool.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2, About.isName(String(parts[0])), !parts[1].isEmpty { continue }
      note("tools", "\"\(tool)\" is no method of a persona; write it as \"BABS.observe\" or \"BABS.*\"")
    }
  }
}
