import Testing

@testable import Services

@Suite("Words in scripts of all kinds") struct WordTextTests {
  @Test(
    "a text is found by what stands in it, whatever its script; not by what does not",
    arguments: [
      ("我们把钥匙放在花瓶下面。", ["钥匙", "花瓶下面", "钥", "面", "我们的钥匙"], ["匙钥", "椅子", "猫"]),
      ("吾輩は猫である。名前はまだ無い。", ["猫", "名前", "名前は?", "無い"], ["犬", "前名"]), ("東京ﾀﾜｰ Ｌｉｎｕｘ", ["タワー", "Linux", "linux", "ﾀﾜｰ"], ["東ワ"]),
      ("ﾊﾞｯﾄﾏﾝとﾋﾟｱﾉ", ["バットマン", "ピアノ"], ["ハ"]), ("は\u{3099}っとか\u{3099}", ["ばっと", "が"], ["は"]),
      ("ผมรักเมืองไทยมาก", ["เมืองไทย", "รัก"], ["ญี่ปุ่น"]), ("서울에서는 고양이를 좋아합니다", ["서울", "고양이", "좋아"], ["부산"]),
      ("\u{1109}\u{1165}\u{110B}\u{116E}\u{11AF}", ["서울", "서"], ["부산"]), ("हिन्दी में किताब", ["हिन्दी", "किताब"], ["हन्दा"]),
      ("كِتَابٌ كبـــير", ["كتاب", "كبير", "كِتَابٌ"], ["كلب"]), ("שָׁלוֹם", ["שלום"], ["ספר"]),
      ("Der Schlüssel liegt dort", ["schlussel", "SCHLÜSSEL"], ["schl"]),
      ("a ‘quoted’ word — and an emoji 🦇", ["quoted", "emoji"], ["quot"]), ("𠮷野家で𩸽を食べる", ["𠮷野", "𩸽"], ["吉野"]),
    ] as [(String, [String], [String])])
  func scripts(_ text: String, _ found: [String], _ not: [String]) async throws {
    let store = TemporaryStore()
    try await store(.create("c"))
    try await store(.add("c", [Document(id: "a", text: text), Document(id: "b", text: "something else")]))
    for query in found { #expect(try await store.ids(.query("c", MemoryQuery(text: query))) == ["a"], "\(query)") }
    for query in not { #expect(try await store.ids(.query("c", MemoryQuery(text: query))).isEmpty, "\(query)") }
    // What was changed or removed is found no more.
    try await store(.upsert("c", [Document(id: "a", text: "新しい")]))
    for query in found { #expect(try await store.ids(.query("c", MemoryQuery(text: query))).isEmpty, "\(query)") }
    try await store(.delete("c", Selection(ids: ["a"])))
    #expect(try await store.ids(.query("c", MemoryQuery(text: "新しい"))).isEmpty)
  }

  @Test("text that needs nothing is left as it is; of a run each character stands with the next")
  func indexed() {
    for text in ["", "Plain, “quoted” – and ßharp ½ 🦇 Ελληνικά Кириллица"] { #expect(WordText.indexed(text) == text) }
    #expect(WordText.indexed("東京都x") == " 東京 京都 都 x")
    #expect(WordQuery("東京都 x 東京 猫", limit: 64).match == "\"東京\" OR \"京都\" OR \"x\" OR \"猫\" *")
    #expect(WordQuery("、。 —", limit: 64).match == nil && WordQuery("東京都庁", limit: 2).match == "\"東京\" OR \"京都\"")
  }

  @Test("an older memory is brought up to date: its texts are found by words of all scripts, and everything else is as it was")
  func migration() async throws {
    let store = TemporaryStore()
    try await store(.create("c"))
    let embedding = Embedding(model: "m", vector: [1, 0])
    try await store(
      .add(
        "c",
        [
          Document(id: "a", text: "钥匙在花瓶下面", metadata: ["n": 1], embedding: embedding), Document(id: "b", text: "the vase is blue"),
          Document(id: "c"),
        ]))
    store.store.stop()
    // As version 2 had it.
    try change(
      store.folder, "DROP TABLE words_1",
      "CREATE VIRTUAL TABLE words_1 USING fts5(text, content='documents_1', content_rowid='seq', tokenize=\"unicode61 remove_diacritics 2\")",
      "INSERT INTO words_1(words_1) VALUES ('rebuild')", "PRAGMA user_version = 2")
    store.reopen()
    #expect(try await store.ids(.query("c", MemoryQuery(text: "花瓶"))) == ["a"])
    #expect(store.log.text.contains("from version 2 to 3"), "\(store.log.text)")
    #expect(try await store.ids(.query("c", MemoryQuery(text: "vase"))) == ["b"])
    #expect(try await store.ids(.query("c", MemoryQuery(embedding: embedding, filter: .key("n", .equals(1))))) == ["a"])
    try await store(.delete("c", Selection(ids: ["a"])))
    #expect(try await store.ids(.query("c", MemoryQuery(text: "花瓶 vase"))) == ["b"])
    store.reopen()
    #expect(try await store(.count("c")) == 2 && store.log.text.split(separator: "\n").count == 1, "\(store.log.text)")
  }

  private func change(_ folder: String, _ sql: String...) throws {
    let database = try SQLiteDatabase(folder + "/memory.sqlite")
    for sql in sql { try database.run(sql, keep: false) }
  }
}
