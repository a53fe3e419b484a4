import Glibc
import Kernel
import Services
import Wire

/// personas.toml, read and checked. What is wrong is told all at once, with line, column and key.
///
///     [kernel]        socket, data, plugins (a folder or several; relative to the file)
///     [log]           format, level; [log.levels] by part or persona
///     [bus]           frame_bytes, queue_bytes, mailbox_bytes, hops, deadline_ms, requests, total_bytes, connections
///     [reload]        watch, settle_ms, call_ms, drain_ms, trial_ms, record
///     [llm]           provider, url, model, api_key_env, api_key_file, context_tokens, temperature, max_tokens, silence_ms,
///                     parallel, retries, fallbacks, summarise, tokens_per_day
///     [llm.providers.NAME]  the same, without the last three
///     [llm.local]     command, log
///     [memory]        embedder, url, api_key_env
///     [persona.NAME]  library, summary, prompt, llm, fallbacks, model, temperature, max_tokens, tokens_per_question,
///                     tokens_per_day, tools, and the keys that the library's about text declares
enum ConfigurationFile {
  /// A longer file is none of ours, in bytes.
  static let longest = 4 << 20

  /// Reads a file. `environment` is asked for XDG_RUNTIME_DIR and HOME.
  static func load(path: String, environment: [String: String]) throws(ConfigurationError) -> Configuration {
    let text = try read(path)
    // It names libraries and programs that are run with the kernel's rights.
    if let reason = FileTrust.refusal(ofFile: path) {
      throw ConfigurationError(findings: [.init(file: path, position: nil, key: nil, message: "is not taken: it \(reason)")])
    }
    return try load(text: text, path: path, environment: environment)
  }

  /// The same for a text; `path` is named in errors, and relative paths begin at its folder.
  static func load(text: String, path: String, environment: [String: String]) throws(ConfigurationError) -> Configuration {
    let findings = TableReader.Findings(file: path)
    let root: TOMLValue
    do throws(TOMLValue.SyntaxError) { root = try TOMLValue.parse(text) } catch {
      throw ConfigurationError(findings: [.init(file: path, position: error.position, key: nil, message: error.message)])
    }
    guard case .table(let entries) = root.content else { preconditionFailure("a TOML document is a table") }
    let document = TableReader(path: "", entries: entries, findings: findings)
    let reader = Reader(folder: folder(of: path), environment: environment)

    var configuration = Configuration(socketPath: defaultSocketPath(environment), pluginFolders: [programFolder()])
    configuration.dataFolder = defaultDataFolder(environment)
    reader.kernel(document.table("kernel"), &configuration)
    let log = document.table("log")
    let levels = reader.log(log, &configuration.log)
    reader.bus(document.table("bus"), &configuration.limits)
    reader.reload(document.table("reload"), &configuration.reload)
    let language = LanguageReader(path: reader.path)
    language.read(document.table("llm"), &configuration.language)
    reader.memory(document.table("memory"), &configuration.memory)
    let personas = document.table("persona")
    configuration.personas = reader.personas(personas, PersonaKeys(folders: configuration.pluginFolders), findings)
    language.check(personas, configuration)
    reader.checkParts(levels, configuration)
    document.refuseOthers()
    if !findings.all.isEmpty { throw ConfigurationError(findings: findings.sorted()) }
    return configuration
  }

  /// $XDG_RUNTIME_DIR/bat/kernel.sock, or /tmp/bat-UID/kernel.sock.
  static func defaultSocketPath(_ environment: [String: String]) -> String {
    // A relative one is to be ignored, says its specification.
    if let folder = environment["XDG_RUNTIME_DIR"], folder.hasPrefix("/") {
      return (folder.hasSuffix("/") ? String(folder.dropLast()) : folder) + "/bat/kernel.sock"
    }
    return "/tmp/bat-\(getuid())/kernel.sock"
  }

  /// $XDG_DATA_HOME/bat, or ~/.local/share/bat.
  static func defaultDataFolder(_ environment: [String: String]) -> String {
    if let folder = environment["XDG_DATA_HOME"], folder.hasPrefix("/") {
      return (folder.hasSuffix("/") ? String(folder.dropLast()) : folder) + "/bat"
    }
    return (environment["HOME"] ?? "/tmp/bat-\(getuid())") + "/.local/share/bat"
  }

  /// Why a socket cannot have this path; nil when it can.
  static func refusal(ofSocketPath path: String) -> String? {
    path.utf8.count <= 107 ? nil : "a socket's path has at most 107 bytes, and \(path) has \(path.utf8.count): choose a shorter one"
  }

  /// Where libraries are when [kernel] does not say it: beside this program, where the build puts them.
  static func programFolder() -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    return count > 0 ? folder(of: String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)) : "."
  }

  static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func read(_ path: String) throws(ConfigurationError) -> String {
    func failed(_ code: Int32) -> ConfigurationError {
      let advice = code == ENOENT ? "; name another with --config" : ""
      return ConfigurationError(findings: [
        .init(file: path, position: nil, key: nil, message: "cannot be read: \(String(cString: strerror(code)))\(advice)")
      ])
    }
    func refused(_ message: String) -> ConfigurationError {
      ConfigurationError(findings: [.init(file: path, position: nil, key: nil, message: message)])
    }
    // The event loop reads it again: it must not wait for the writer of a pipe.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw failed(errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failed(errno) }
    if status.st_mode & S_IFMT == S_IFDIR { throw failed(EISDIR) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw refused("is no regular file; name one with --config") }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count == 0 { break }
      if count > 0 { bytes.append(contentsOf: buffer[..<count]) } else if errno != EINTR { throw failed(errno) }
      if bytes.count > longest { throw refused("has more than \(longest >> 20) MiB; long prompts belong into shorter ones") }
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      let line = bytes[..<(firstBadByte(bytes))].count { $0 == UInt8(ascii: "\n") } + 1
      throw ConfigurationError(findings: [
        .init(file: path, position: .init(line: line, column: 1), key: nil, message: "this line is not UTF-8; save the file as UTF-8")
      ])
    }
    return text
  }

  private static func firstBadByte(_ bytes: [UInt8]) -> Int {
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var count = 0
    while case .scalarValue(let scalar) = decoder.decode(&iterator) { count += UTF8.width(scalar) }
    return min(count, bytes.count)
  }
}

/// The sections, one by one.
private struct Reader {
  /// Of the file.
  let folder: String
  let environment: [String: String]

  /// An absolute path, or one from where the kernel runs, for a path as it is written in the file.
  func path(_ text: String) -> String {
    if text == "~" || text.hasPrefix("~/"), let home = environment["HOME"] { return home + text.dropFirst() }
    if text.hasPrefix("/") || folder == "." { return text }
    return folder == "/" ? "/\(text)" : "\(folder)/\(text)"
  }

  func kernel(_ table: TableReader, _ configuration: inout Configuration) {
    if let socket = table.string("socket") { configuration.socketPath = path(socket) }
    if let reason = ConfigurationFile.refusal(ofSocketPath: configuration.socketPath) { table.note("socket", reason) }
    if let data = table.string("data") { configuration.dataFolder = path(data) }
    if let folders = table.strings("plugins", orOne: true) { configuration.pluginFolders = folders.map(path) }
    table.refuseOthers()
  }

  private static let levels = LogConfiguration.Level.allCases.map { (word: "\($0)", value: $0) }

  /// Returns the table of levels: which names are right is known when the personas are.
  func log(_ table: TableReader, _ log: inout LogConfiguration) -> TableReader {
    if let format = table.choice("format", LogConfiguration.Format.allCases.map { ($0.rawValue, $0) }) { log.format = format }
    if let level = table.choice("level", Self.levels) { log.level = level }
    let levels = table.table("levels")
    for entry in levels.entries { if let level = levels.choice(entry.key, Self.levels) { log.levels[entry.key] = level } }
    table.refuseOthers()
    return levels
  }

  func checkParts(_ levels: TableReader, _ configuration: Configuration) {
    let parts = ["kernel", "io", "bus", "reload", "llm", "memory"] + configuration.personas.map(\.name)
    for entry in levels.entries where !parts.contains(entry.key) {
      levels.note(
        entry.key,
        "no part and no persona of that name; there are \(parts.joined(separator: ", "))\(TableReader.question(entry.key, parts))")
    }
  }

  func bus(_ table: TableReader, _ limits: inout Limits) {
    table.read("frame_bytes", 1024...(1 << 30), into: &limits.frameBytes)
    table.read("queue_bytes", 1024...(1 << 40), into: &limits.queueBytes)
    table.read("mailbox_bytes", 1024...(1 << 40), into: &limits.mailboxBytes)
    table.read("hops", 1...255, into: &limits.hops)
    table.read("deadline_ms", 1...86_400_000, into: &limits.deadlineMilliseconds)
    table.read("requests", 1...1_000_000, into: &limits.requests)
    table.read("total_bytes", 4096...(1 << 44), into: &limits.totalBytes)
    table.read("connections", 1...1_000_000, into: &limits.connections)
    // What fits no queue could be sent, but never arrive.
    let asked = table.position(of: "queue_bytes") == nil ? "frame_bytes" : "queue_bytes"
    if limits.queueBytes < limits.frameBytes {
      table.note(asked, "queue_bytes is \(limits.queueBytes), and must hold at least one line of frame_bytes, \(limits.frameBytes)")
    }
    let mailbox = table.position(of: "mailbox_bytes") == nil ? "frame_bytes" : "mailbox_bytes"
    if limits.mailboxBytes < 2 * limits.frameBytes {
      table.note(
        mailbox,
        "mailbox_bytes is \(limits.mailboxBytes), and must be at least twice frame_bytes, \(limits.frameBytes): one sender gets half of it")
    }
    let total = table.position(of: "total_bytes") == nil ? "frame_bytes" : "total_bytes"
    if limits.totalBytes < 4 * limits.frameBytes {
      table.note(total, "total_bytes is \(limits.totalBytes), and must be at least four times frame_bytes, \(limits.frameBytes)")
    }
    table.refuseOthers()
  }

  func reload(_ table: TableReader, _ reload: inout ReloadConfiguration) {
    table.read("watch", into: &reload.watch)
    table.read("settle_ms", 0...60_000, into: &reload.settleMilliseconds)
    table.read("call_ms", 10...600_000, into: &reload.callMilliseconds)
    table.read("drain_ms", 0...86_400_000, into: &reload.drainMilliseconds)
    table.read("trial_ms", 0...3_600_000, into: &reload.trialMilliseconds)
    table.read("record", 0...100_000, into: &reload.recordedGrams)
    table.refuseOthers()
  }

  func memory(_ table: TableReader, _ memory: inout MemoryConfiguration) {
    table.read("embedder", into: &memory.embedder)
    table.read("url", into: &memory.url)
    table.read("api_key_env", into: &memory.apiKeyVariable)
    table.refuseOthers()
    let choice: EmbedderChoice
    do throws(EmbeddingError) { choice = try EmbedderChoice(memory.embedder) } catch { return table.note("embedder", error.description) }
    if let url = memory.url { table.checkURL(url) }
    if case .openai = choice, memory.url == nil {
      table.note("embedder", "\"openai:…\" needs to know the server: set url, e.g. http://127.0.0.1:8080/v1")
    }
    if let variable = memory.apiKeyVariable { table.checkVariable(variable) }
  }

  /// The personas in the order of the file.
  func personas(_ tables: TableReader, _ keys: PersonaKeys, _ findings: TableReader.Findings) -> [PersonaConfiguration] {
    var personas: [PersonaConfiguration] = []
    var names: [String: String] = [:]
    for entry in tables.entries {
      let table = tables.table(entry.key)
      if case .table = entry.value.content {
        let persona = persona(entry.key, table, entry.value, findings)
        keys.check(persona, table)
        personas.append(persona)
      }
      if !About.isName(entry.key) {
        tables.note(entry.key, "no name for a persona: a letter, then letters, digits, '-' or '_', at most 64")
      } else if let meaning = Name.otherMeaning(entry.key) {
        tables.note(entry.key, "\(meaning); choose another name")
      } else if let other = names.updateValue(entry.key, forKey: entry.key.lowercased()) {
        tables.note(entry.key, "there is a persona \(other) already, and names that differ only in capitals are one to people")
      }
    }
    return personas
  }

  private func persona(_ name: String, _ table: TableReader, _ value: TOMLValue, _ findings: TableReader.Findings) -> PersonaConfiguration {
    var persona = PersonaConfiguration(name: name, library: name, json: [])
    if let library = table.string("library") { persona.library = library.contains("/") || library.hasPrefix("~") ? path(library) : library }
    table.read("summary", into: &persona.summary)
    if let prompt = table.string("prompt") { persona.prompt = prompt }
    table.read("model", into: &persona.language.model)
    table.read("temperature", 0...2, into: &persona.language.temperature)
    table.read("max_tokens", 1...10_000_000, into: &persona.language.maxTokens)
    table.read("tokens_per_question", 1...1_000_000_000, into: &persona.language.tokensPerQuestion)
    table.read("tokens_per_day", 1...1_000_000_000_000, into: &persona.language.tokensPerDay)
    table.read("llm", into: &persona.language.provider)
    persona.language.fallbacks = table.strings("fallbacks", mayBeEmpty: true)
    table.checkTools()
    if table.value("name") != nil { table.note("name", "a persona is named by its table, here \(name); leave the line out") }

    let named = TOMLValue.Entry(key: "name", value: TOMLValue(content: .string(name), position: value.position))
    let whole = TOMLValue(content: .table([named] + table.entries), position: value.position)
    if let position = whole.appendJSON(to: &persona.json) {
      findings.add(position, table.path, "holds inf or nan, which a persona's JSON cannot say; write a number or a string")
    }
    return persona
  }
}
