import Wire

extension Command {
  static let memory = Command(
    name: "memory", usage: "parlor memory [VERB …]", summary: "look into the memory, share it, forget of it",
    help: """
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
      """,
    flags: ["--json"], values: ["--source", "--message", "--persona", "--embedder", "--limit"], operands: 0...Int.max,
    run: { arguments throws(CLIError) in
      let words = arguments.operands
      let verb = words.first ?? "list"
      func operand(_ index: Int, _ what: String) throws(CLIError) -> String {
        guard words.count > index else { throw CLIError(.usage, "parlor memory \(verb) needs \(what): see `parlor memory --help`") }
        return words[index]
      }
      func atMost(_ count: Int) throws(CLIError) {
        if words.count > count { throw CLIError(.usage, "parlor memory \(verb) takes no \"\(words[count])\": see `parlor memory --help`") }
      }
      let known = ["list", "query", "open", "export", "forget", "share", "reembed", "drop"]
      guard known.contains(verb) else { throw CLIError(.usage, "parlor memory knows \(known.joined(separator: ", ")), and no \(verb)") }
      let limit = try arguments.count("--limit") ?? 5
      let connection = try arguments.connect()
      let style = Style(for: .answer)
      func ask(_ operation: String, _ payload: [String: JSON]) throws(CLIError) -> JSON {
        try connection.ask(Request(method: "memory.\(operation)", payload: .object(payload)))
      }
      func tell(_ reply: JSON, _ text: (JSON) -> String) throws(CLIError) {
        try Output.answer.write(arguments.has("--json") ? reply.text + "\n" : text(reply))
      }
      switch verb {
      case "list":
        try tell(try ask("list", [:])) { MemoryText.collections($0["collections"]?.array ?? [], style: style) }
      case "query":
        let collection = try operand(1, "a collection")
        _ = try operand(2, "a text")
        let text = words.dropFirst(2).joined(separator: " ")
        let reply = try ask("query", ["collection": .string(collection), "text": .string(text), "limit": .int(limit)])
        try tell(reply) { MemoryText.passages($0, style: style) }
      case "open":
        try atMost(3)
        let citation = Citations.Citation(collection: try operand(1, "a collection"), id: try operand(2, "a document's id"))
        let reply = try connection.ask(Citations.request(citation))
        guard let document = reply["documents"]?.array?.first else {
          throw CLIError(.failed, "\(citation.collection) has no document \(citation.id)".oneLine(400))
        }
        var found = citation
        (found.source, found.place) = (document["source"]?.string, document["place"]?.string)
        try tell(reply) { Citations.passage($0, found, style: style) }
      case "export":
        try atMost(2)
        let collection = try operand(1, "a collection")
        var after = 0
        while true {
          let page = try ask("export", ["collection": .string(collection), "after": .int(after)])
          try Output.answer.write(page["lines"]?.string ?? "")
          guard let next = page["next"]?.int else { break }
          after = next
        }
      case "forget":
        try atMost(2)
        var payload: [String: JSON] = [:]
        for key in ["source", "message", "persona"] { payload[key] = arguments.value("--" + key).map(JSON.string) }
        if payload.count != 1 { throw CLIError(.usage, "say what is to be forgotten: one of --source, --message and --persona") }
        if let source = arguments.value("--source"), !source.contains("://") { payload["source"] = .string(SourceTree.absolute(source)) }
        if words.count > 1 { payload["collection"] = .string(words[1]) }
        try tell(try ask("forget", payload)) { "forgotten: \($0["count"]?.plain ?? "?") passages\n" }
      case "share":
        let collection = try operand(1, "a collection")
        _ = try operand(2, "who may read it: everyone, nobody, or names")
        let names = Array(words.dropFirst(2))
        let readers: JSON = names == ["everyone"] ? "everyone" : .array((names == ["nobody"] ? [] : names).map(JSON.string))
        try tell(try ask("share", ["collection": .string(collection), "readers": readers])) {
          MemoryText.collections([$0["collection"] ?? .null], style: style)
        }
      case "reembed":
        try atMost(2)
        var payload: [String: JSON] = ["collection": .string(try operand(1, "a collection"))]
        payload["embedder"] = arguments.value("--embedder").map(JSON.string)
        try tell(try ask("reembed", payload)) {
          "\($0["waiting"]?.plain ?? "?") vectors are made in the background; `parlor memory` shows how far it is\n"
        }
      default:
        try atMost(2)
        try tell(try ask("drop", ["collection": .string(try operand(1, "a collection"))])) {
          "dropped \($0["collection"]?["owner"]?.plain ?? "?")/\($0["collection"]?["name"]?.plain ?? "?"), \($0["collection"]?["documents"]?.plain ?? "?") documents\n"
            .harmless
        }
      }
      return .ok
    })
}

/// Collections and passages, for people.
enum MemoryText {
  static func collections(_ collections: [JSON], style: Style) -> String {
    if collections.isEmpty { return "no collections: `parlor ingest PATH… --collection NAME` makes one\n" }
    func circle(_ json: JSON?) -> String {
      json?.string ?? (json?.array?.isEmpty == false ? json?.array?.map(\.plain).joined(separator: ", ") : nil) ?? "owner"
    }
    let rows = collections.map { collection in
      [
        "\(collection["owner"]?.plain ?? "?")/\(collection["name"]?.plain ?? "?")".oneLine(100), collection["documents"]?.plain ?? "?",
        collection["vectors"]?.plain ?? "?", circle(collection["readers"]).oneLine(60), circle(collection["writers"]).oneLine(60),
        (collection["model"]?.string ?? "words alone").oneLine(60),
      ]
    }
    let head = ["COLLECTION", "DOCUMENTS", "VECTORS", "READERS", "WRITERS", "MODEL"]
    return Table.text(head, rows, style: style)
  }

  static func passages(_ reply: JSON, style: Style) -> String {
    let passages = reply["passages"]?.array ?? []
    var text = passages.isEmpty ? "nothing fits\n" : ""
    for (index, passage) in passages.enumerated() {
      let source = (passage["source"]?.string ?? passage["id"]?.plain ?? "?") + (passage["place"]?.string.map { ", \($0)" } ?? "")
      let score = passage["score"]?.number.map { " (\(fixed($0, 3)))" } ?? ""
      text +=
        style.name("[\(index + 1)] \(source.oneLine(300))") + style.dim(score + "  " + (passage["id"]?.plain ?? "").oneLine(200)) + "\n"
      text += (passage["text"]?.string ?? "").harmless + "\n\n"
    }
    if let note = reply["note"]?.string { text += style.dim(note.oneLine(400)) + "\n" }
    return text
  }
}
