import Testing
import Wire

@testable import Services

@Suite("Filters, against a model") struct FilterPropertyTests {
  /// Documents and filters out of a few values, so that they meet often.
  private struct Maker {
    var random: TestRandom

    static let keys = ["year", "city", "é", "e\u{301}", "ключ", "a b\"'", "=k", "@k", "k"]
    static let strings = [
      "", "a", "A", "ab", "b", "é", "e\u{301}", "日本", "🦇", "\u{0}", "a\u{0}b", "1", "true", "%", "_", "it's \"x\"", "\u{10FFFF}",
    ]
    static let numbers: [JSON] = [
      0, 1, -1, 7, 1966, .double(0), .double(-0.0), 0.5, -0.5, 1.0, 1966.5, .double(1e300), .double(-1e300),
      .double(.leastNonzeroMagnitude),
      .int(1 << 53), .int(1 << 53 + 1), .int(1 << 53 - 1), .double(0x1p53), .double(0x1p53 + 2), .int(-1 << 53 - 1), .double(-0x1p53),
      .int(.max), .int(.max - 1), .int(.min), .int(.min + 1), .double(0x1p63), .double(-0x1p63), .double(0x1p62), .int(1 << 62),
      .double(0x1p63 - 1024),
    ]

    mutating func scalar() -> JSON {
      switch random.below(8) {
      case 0...2: .string(random.pick(Self.strings))
      case 3: .bool(random.once(in: 2))
      default: random.pick(Self.numbers)
      }
    }

    mutating func metadata() -> [String: JSON] {
      var metadata: [String: JSON] = [:]
      for _ in 0..<random.below(6) {
        let key = random.pick(Self.keys)
        metadata[key] = nil
        metadata[key] = random.once(in: 4) ? .array((0..<random.below(5)).map { _ in scalar() }) : scalar()
      }
      return metadata
    }

    mutating func text() -> String { "word " + (0..<random.below(4)).map { _ in random.pick(Self.strings) }.joined(separator: " ") }

    mutating func document(_ id: String) -> Document {
      Document(
        id: id, text: text(), metadata: metadata(),
        embedding: random.once(in: 8) ? nil : Embedding(model: "m", vector: random.vector(3)))
    }

    mutating func test() -> JSON {
      if random.once(in: 6) { return scalar() }
      var operators: [String: JSON] = [:]
      for _ in 0...(random.once(in: 4) ? 1 : 0) {
        let name = random.pick(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$contains", "$not_contains"])
        switch name {
        case "$in", "$nin": operators[name] = .array((0...random.below(4)).map { _ in scalar() })
        case "$gt", "$gte", "$lt", "$lte":
          operators[name] = random.once(in: 3) ? .string(random.pick(Self.strings)) : random.pick(Self.numbers)
        default: operators[name] = scalar()
        }
      }
      return .object(operators)
    }

    mutating func filter(depth: Int) -> JSON {
      if depth > 0, random.once(in: 2) {
        return .object([random.pick(["$and", "$or"]): .array((0...random.below(3)).map { _ in filter(depth: depth - 1) })])
      }
      var members: [String: JSON] = [:]
      for _ in 0...(random.once(in: 5) ? 2 : 0) { members[random.pick(Self.keys)] = test() }
      return .object(members)
    }

    mutating func documentFilter(depth: Int) -> JSON {
      if depth > 0, random.once(in: 2) {
        return .object([random.pick(["$and", "$or"]): .array((0...random.below(2)).map { _ in documentFilter(depth: depth - 1) })])
      }
      return .object([random.pick(["$contains", "$not_contains"]): .string(random.pick(Self.strings.filter { !$0.isEmpty }))])
    }
  }

  @Test("get, count, delete, words and vectors let pass what Chroma's filters let pass, whatever the metadata and the filter")
  func agreement() async throws {
    let seed = TestRandom.seed(for: "FilterPropertyTests.agreement")
    var maker = Maker(random: TestRandom(seed: seed))
    for _ in 0..<4 {
      let store = TemporaryStore()
      try await store(.create("c"))
      // In the order in which they are in the store.
      var model: [Document] = []
      for n in 0..<120 { model.append(maker.document("\(n)")) }
      try await store(.add("c", model))
      for round in 0..<100 {
        let metadata = maker.random.once(in: 5) ? nil : maker.filter(depth: 3)
        let document = maker.random.once(in: 3) ? maker.documentFilter(depth: 2) : nil
        let filter = try Filter(where: metadata, document: document)
        let passing = model.filter { FilterModel.passes($0.metadata, text: $0.text!, where: metadata, document: document) }
        let what = Comment(
          rawValue: "seed \(seed), round \(round), where \(metadata?.text ?? "-"), where_document \(document?.text ?? "-")")
        let got = try await store.ids(.get("c", Selection(filter: filter)))
        #expect(got == passing.map(\.id), what)
        #expect(try await store(.count("c", filter)) == passing.count, what)
        let query = MemoryQuery(embedding: Embedding(model: "m", vector: maker.random.vector(3)), limit: 200, filter: filter)
        let near = Set(passing.filter { $0.embedding != nil }.map(\.id))
        #expect(try await Set(store.ids(.query("c", query))) == near, what)
        #expect(try await Set(store.ids(.query("c", query))) == near, "a second time, \(what)")
        let words = try await store.ids(.query("c", MemoryQuery(text: "word", limit: 200, filter: filter)))
        #expect(Set(words) == Set(passing.map(\.id)), what)
        if got != passing.map(\.id) { return }
        // Some change: a document in another's place, and now and then all of a filter, if they are few.
        if maker.random.once(in: 2), !model.isEmpty {
          let changed = maker.document(model.remove(at: maker.random.below(model.count)).id)
          try await store(.delete("c", Selection(ids: [changed.id])))
          try await store(.upsert("c", [changed]))
          model.append(changed)
        }
        let doomed = model.filter { FilterModel.passes($0.metadata, text: $0.text!, where: metadata, document: document) }
        if doomed.count < 8 {
          #expect(try await store(.delete("c", Selection(filter: filter))) == doomed.count, what)
          let ids = Set(doomed.map(\.id))
          model.removeAll { ids.contains($0.id) }
          #expect(try await store.ids(.get("c", Selection())) == model.map(\.id), what)
        }
      }
    }
  }

  @Test("ids, keys, values and texts are their bytes: an accent of its own is another letter, and a zero byte ends nothing")
  func bytes() async throws {
    let store = TemporaryStore()
    try await store(.create("c"))
    let names = ["é", "e\u{301}", "a", "a\u{0}", "a\u{0}b"]
    for name in names {
      let document = Document(id: name, text: "<\(name)>", metadata: ["k": .string(name)], embedding: Embedding(model: "m", vector: [1]))
      try await store(.add("c", [document]))
    }
    for name in names {
      #expect(try await store(.get("c", Selection(ids: [name]))).texts == ["<\(name)>"].map { Array($0.utf8) })
      for filter in [Filter.key("k", .equals(.string(name))), .text("<\(name)>")] {
        #expect(try await store(.get("c", Selection(filter: filter))).texts == ["<\(name)>"].map { Array($0.utf8) })
        let query = MemoryQuery(embedding: Embedding(model: "m", vector: [1]), filter: filter)
        #expect(try await store(.query("c", query)).texts == ["<\(name)>"].map { Array($0.utf8) })
      }
    }
  }

  @Test("a number that is none is refused in metadata and finds nothing in a filter")
  func notANumber() async throws {
    let store = TemporaryStore()
    try await store(.create("c"))
    for value in [Double.nan, .infinity] {
      #expect(await store.failure(.add("c", [Document(id: "a", metadata: ["x": .double(value)])]))?.kind == .invalid)
      #expect(await store.failure(.add("c", [Document(id: "a", metadata: ["x": [.double(value)]])]))?.kind == .invalid)
    }
    try await store(.add("c", [Document(id: "a", metadata: ["x": 1])]))
    #expect(try await store(.count("c", .key("x", .equals(.double(.nan))))) == 0)
    #expect(try await store(.count("c", .not(.key("x", .equals(.double(.nan)))))) == 1)
  }
}

extension [StoredDocument] {
  /// The bytes of the documents' texts.
  fileprivate var texts: [[UInt8]] { map { [UInt8]($0.text.utf8) } }
}

extension [Hit] {
  /// The bytes of the documents' texts.
  fileprivate var texts: [[UInt8]] { map { [UInt8]($0.document.text.utf8) } }
}
