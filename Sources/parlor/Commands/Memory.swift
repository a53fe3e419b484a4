import Client
import Passages
import Protocol
import Wire

/// `parlor memory`: look into the memory, share it, forget of it.
struct MemoryCommand: Command {
  let name = "memory"
  let usage = "parlor memory [VERB …]"
  let summary = "look into the memory, share it, forget of it"
  let help = """
    Without a verb, the collections of the memory. A collection is NAME, or OWNER/NAME where several have that name.

      query COLLECTION TEXT…              the passages that fit best, by words and by meaning
      open COLLECTION ID                  one document, whole
      export COLLECTION                   all of it, one JSON object on each line
      forget --source S | --message M | --persona P [COLLECTION]
                                          everything of a file, of a message (its trace), or of a persona's making; it
                                          is gone from the files on the disk, too
      share COLLECTION everyone|nobody|NAME…   who may read it, besides its owner
      reembed COLLECTION [--embedder E]   have its vectors made, or made anew by E (local, ollama:MODEL, openai:MODEL)
      drop COLLECTION                     remove it

      --limit N    of a query: how many passages; else 5
      --json       print the kernel's reply as one line of JSON
    """
  let flags: Set = ["--json"]
  let values: Set = ["--source", "--message", "--persona", "--embedder", "--limit"]
  let operands = 0...Int.max

  func run(_ arguments: Arguments) throws -> ExitCode {
    let word = arguments.operands.first ?? "list"
    guard let verb = MemoryCall.Verb(rawValue: word) else {
      let known = MemoryCall.Verb.allCases.map(\.rawValue).joined(separator: ", ")
      throw CLIError(.usage, "parlor memory knows \(known), and no \(word)")
    }
    let limit = try arguments.count("--limit") ?? 5
    try MemoryCall(verb: verb, words: arguments.operands, limit: limit, arguments: arguments, connection: try arguments.connect()).perform()
    return .ok
  }
}

/// One `parlor memory VERB …`.
private struct MemoryCall {
  enum Verb: String, CaseIterable { case list, query, open, export, forget, share, reembed, drop }

  let verb: Verb
  /// The verb, and what stands behind it.
  let words: [String]
  let limit: Int
  let arguments: Arguments
  let connection: KernelConnection
  private let style = Style(for: .answer)

  init(verb: Verb, words: [String], limit: Int, arguments: Arguments, connection: KernelConnection) {
    self.verb = verb
    self.words = words
    self.limit = limit
    self.arguments = arguments
    self.connection = connection
  }

  func perform() throws {
    switch verb {
    case .list: try list()
    case .query: try query()
    case .open: try open()
    case .export: try export()
    case .forget: try forget()
    case .share: try share()
    case .reembed:
      try atMost(2)
      try tell(MemoryMethods.Reembed(collection: try collection(), embedder: arguments.value("--embedder"))) {
        "\($0.waiting) vectors are made in the background; `parlor memory` shows how far it is\n"
      }
    case .drop:
      try atMost(2)
      try tell(MemoryMethods.Drop(collection: try collection())) {
        "dropped \($0.collection.owner)/\($0.collection.name), \($0.collection.documents) documents\n".harmless
      }
    }
  }

  private func tell<M: KernelMethod>(_ method: M, _ text: (M.Reply) -> String) throws {
    let payload = try connection.ask(Request(method))
    try Output.answer.reply(payload, json: arguments.has("--json"), text(payload.reply(to: M.self)))
  }

  /// As JSON a page, as the kernel gives it; for people all of them.
  private func list() throws {
    if arguments.has("--json") { return try tell(MemoryMethods.List()) { _ in "" } }
    var all: [Memory.Collection] = []
    var after: String?
    repeat {
      let page = try connection.call(MemoryMethods.List(after: after))
      all += page.collections
      after = page.next
    } while after != nil
    try Output.answer.write(MemoryText.collections(all, style: style))
  }

  private func query() throws {
    let collection = try collection()
    _ = try operand(2, "a text")
    let text = words.dropFirst(2).joined(separator: " ")
    try tell(MemoryMethods.Query(collection: collection, text: text, limit: limit)) { MemoryText.passages($0, style: style) }
  }

  private func open() throws {
    try atMost(3)
    let asked = Memory.Citation(collection: try collection(), id: try operand(2, "a document's id"))
    let payload = try connection.ask(Request(Citations.request(asked)))
    let reply = try payload.reply(to: MemoryMethods.Get.self)
    guard let document = reply.documents.first else {
      throw CLIError(.failed, "\(asked.collection) has no document \(asked.id)".oneLine(400))
    }
    let found = Memory.Citation(collection: asked.collection, id: asked.id, source: document.source, place: document.place)
    try Output.answer.reply(payload, json: arguments.has("--json"), Citations.passage(reply, found, style: style))
  }

  private func export() throws {
    try atMost(2)
    let collection = try collection()
    var after: Int64? = 0
    while after != nil {
      let page = try connection.call(MemoryMethods.Export(collection: collection, after: after))
      if Terminal.has(Output.answer.descriptor) {
        for line in page.lines.split(separator: "\n") { try Output.answer.json(String(line)) }
      } else {
        try Output.answer.control(page.lines)
      }
      after = page.next
    }
  }

  private func forget() throws {
    try atMost(2)
    let (source, message, persona) = (arguments.value("--source"), arguments.value("--message"), arguments.value("--persona"))
    if [source, message, persona].count(where: { $0 != nil }) != 1 {
      throw CLIError(.usage, "say what is to be forgotten: one of --source, --message and --persona")
    }
    let place = source.map { $0.contains("://") ? $0 : SourceTree.absolute(FilePath(text: $0)).text }
    let method = MemoryMethods.Forget(source: place, message: message, persona: persona, collection: words.count > 1 ? words[1] : nil)
    try tell(method) { "forgotten: \($0.count) passages\n" }
  }

  private func share() throws {
    let collection = try collection()
    _ = try operand(2, "who may read it: everyone, nobody, or names")
    let names = Array(words.dropFirst(2))
    let readers: Memory.Circle = names == ["everyone"] ? .everyone : .these(names == ["nobody"] ? [] : names)
    try tell(MemoryMethods.Share(collection: collection, readers: readers)) { MemoryText.collections([$0.collection], style: style) }
  }

  // MARK: Operands

  private func collection() throws(CLIError) -> String { try operand(1, "a collection") }

  private func operand(_ index: Int, _ what: String) throws(CLIError) -> String {
    guard words.count > index else {
      throw CLIError(.usage, "parlor memory \(verb.rawValue) needs \(what): see `parlor memory --help`")
    }
    return words[index]
  }

  private func atMost(_ count: Int) throws(CLIError) {
    if words.count > count {
      throw CLIError(.usage, "parlor memory \(verb.rawValue) takes no \"\(words[count])\": see `parlor memory --help`")
    }
  }
}

/// Collections and passages, for people.
enum MemoryText {
  static func collections(_ collections: [Memory.Collection], style: Style) -> String {
    if collections.isEmpty { return "no collections: `parlor ingest PATH… --collection NAME` makes one\n" }
    func circle(_ circle: Memory.Circle) -> String {
      switch circle {
      case .everyone: "everyone"
      case .these(let names): names.isEmpty ? "owner" : names.joined(separator: ", ")
      }
    }
    let rows = collections.map { collection in
      [
        "\(collection.owner)/\(collection.name)".oneLine(100), "\(collection.documents)", "\(collection.vectors)",
        circle(collection.readers).oneLine(60), circle(collection.writers).oneLine(60), (collection.model ?? "words alone").oneLine(60),
      ]
    }
    let head = ["COLLECTION", "DOCUMENTS", "VECTORS", "READERS", "WRITERS", "MODEL"]
    return Table.text(head, rows, style: style)
  }

  static func passages(_ reply: MemoryMethods.Query.Reply, style: Style) -> String {
    var text = reply.passages.isEmpty ? "nothing fits\n" : ""
    for (index, passage) in reply.passages.enumerated() {
      let source = (passage.source ?? passage.id) + (passage.place.map { ", \($0)" } ?? "")
      let score = " (\(fixed(passage.score, 3)))"
      text += style.name("[\(index + 1)] \(source.oneLine(300))") + style.dim(score + "  " + passage.id.oneLine(200)) + "\n"
      text += passage.text.harmless + "\n\n"
    }
    if let note = reply.note { text += style.dim(note.oneLine(400)) + "\n" }
    return text
  }
}
