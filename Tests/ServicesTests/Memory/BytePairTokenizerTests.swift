import Testing
import Wire

@testable import Services

@Suite struct BytePairTokenizerTests {
  /// A tokenizer's file: all bytes, then these tokens, numbered from 256 on.
  static func file(
    _ tokens: [String], merges: JSON, special: [String] = [], _ change: (inout [String: JSON], inout [String: JSON]) -> Void = { _, _ in }
  )
    -> [UInt8]
  {
    let bytes = (0..<256).map { byte in
      let digits = String(byte, radix: 16, uppercase: true)
      return "<0x\(byte < 16 ? "0" : "")\(digits)>"
    }
    // Written by hand: keys that look alike are one key to a dictionary.
    let vocabulary = (bytes + tokens).enumerated().map { "\(JSON.string($1).text):\($0)" }.joined(separator: ",")
    var model: [String: JSON] = ["type": "BPE", "byte_fallback": true, "merges": merges, "dropout": .null, "vocab": "HERE"]
    var file: [String: JSON] = [
      "normalizer": [
        "type": "Sequence",
        "normalizers": [["type": "Prepend", "prepend": "▁"], ["type": "Replace", "pattern": ["String": " "], "content": "▁"]],
      ],
      "pre_tokenizer": .null,
      "added_tokens": .array(
        special.enumerated().map { ["id": .int(900 + $0), "content": .string($1), "normalized": false, "special": true] }),
    ]
    change(&file, &model)
    file["model"] = .object(model)
    return Array(JSON.object(file).text.replacing("\"HERE\"", with: "{\(vocabulary)}").utf8)
  }

  @Test("the pair that was learnt first is merged first, and of equal ones the leftmost")
  func order() throws {
    // 256 ▁, 257 a, 258 b, 259 ab, 260 aa, 261 ba
    let tokens = ["▁", "a", "b", "ab", "aa", "ba"]
    let tokenizer = try BytePairTokenizer(Self.file(tokens, merges: ["a b", "a a", "b a"]))
    #expect(tokenizer.tokens(of: "") == [])
    #expect(tokenizer.tokens(of: "aab") == [256, 257, 259])
    #expect(tokenizer.tokens(of: "aaa") == [256, 260, 257])
    #expect(tokenizer.tokens(of: "ba b") == [256, 261, 256, 258])
    let other = try BytePairTokenizer(Self.file(tokens, merges: [["a", "a"], ["a", "b"], ["b", "a"]]))
    #expect(other.tokens(of: "aab") == [256, 260, 258])
  }

  @Test("a merge makes new neighbours, which are merged as if they had always been there")
  func chain() throws {
    let tokens = ["▁", "a", "b", "ab", "▁ab", "abab", "▁abab"]
    let tokenizer = try BytePairTokenizer(Self.file(tokens, merges: ["a b", "ab ab", "▁ abab"]))
    #expect(tokenizer.tokens(of: "abababab") == [262, 261])
  }

  @Test("a character that is no token becomes its bytes")
  func fallback() throws {
    let tokenizer = try BytePairTokenizer(Self.file(["▁", "é"], merges: []))
    #expect(tokenizer.tokens(of: "é\0🦇") == [256, 257, 0, 0xF0, 0x9F, 0xA6, 0x87])
  }

  @Test("tokens that only look alike are two")
  func bytesCount() throws {
    let tokenizer = try BytePairTokenizer(Self.file(["▁", "\u{e9}", "e", "\u{301}", "e\u{301}"], merges: ["e \u{301}"]))
    #expect(tokenizer.tokens(of: "\u{e9}") == [256, 257])
    #expect(tokenizer.tokens(of: "e\u{301}") == [256, 260])
  }

  @Test("text falls apart at special tokens; the longest counts, and what follows begins a word")
  func special() throws {
    let tokenizer = try BytePairTokenizer(Self.file(["▁", "a", "<", "s", ">"], merges: [], special: ["<s>", "<s>>"]))
    #expect(tokenizer.tokens(of: "a<s>a") == [256, 257, 900, 256, 257])
    #expect(tokenizer.tokens(of: "<s>><s>") == [901, 900])
    #expect(tokenizer.tokens(of: "<s") == [256, 258, 259])
  }

  @Test("quotes and escapes in the file's tokens are read")
  func escapes() throws {
    let tokenizer = try BytePairTokenizer(Self.file(["▁", "\"", "\\", "\n", "\"\\"], merges: ["\" \\"]))
    #expect(tokenizer.tokens(of: "\"\\\n") == [256, 260, 259])
  }

  @Test("a long word takes time in proportion to its length, not to its square")
  func long() throws {
    let tokenizer = try BytePairTokenizer(Self.file(["▁", "a", "aa", "aaaa"], merges: ["a a", "aa aa"]))
    #expect(tokenizer.tokens(of: String(repeating: "a", count: 200_000)).count == 50_001)
  }

  @Test("the least number comes first, whatever was put in between")
  func heap() {
    var heap = MinimumHeap()
    var model: [UInt64] = []
    var random = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      if Bool.random(using: &random) || model.isEmpty {
        let item = UInt64.random(in: 0..<100, using: &random)
        heap.insert(item)
        model.append(item)
        model.sort()
      } else {
        #expect(heap.removeFirst() == model.removeFirst())
      }
    }
    while let item = heap.removeFirst() { #expect(item == model.removeFirst()) }
    #expect(model.isEmpty)
  }

  @Test("a file that asks for what would make other tokens is refused, with what it is")
  func unknown() throws {
    typealias Change = (inout [String: JSON], inout [String: JSON]) -> Void
    let changes: [(String, Change)] = [
      ("another model", { $1["type"] = "Unigram" }), ("another model", { $1["byte_fallback"] = false }),
      ("another model", { $1["dropout"] = 0.1 }), ("another model", { $1["ignore_merges"] = true }),
      ("another model", { $1["end_of_word_suffix"] = "</w>" }), ("other preparations", { file, _ in file["normalizer"] = .null }),
      ("other preparations", { file, _ in file["pre_tokenizer"] = ["type": "Whitespace"] }), ("no merges", { $1["merges"] = .null }),
      ("a merge of tokens", { $1["merges"] = ["a z"] }), ("a merge of tokens", { $1["merges"] = ["a"] }),
      ("bytes that have no token", { $1["vocab"] = ["a": 1] }),
      ("special tokens", { file, _ in file["added_tokens"] = [["id": 1, "content": "x", "lstrip": true]] }),
    ]
    for (what, change) in changes {
      let error = #expect(throws: EmbeddingError.self) { _ = try BytePairTokenizer(Self.file(["▁", "a"], merges: [], change)) }
      #expect(error?.reason == .damaged && error?.description.contains(what) == true, "\(what): \(error?.description ?? "")")
    }
    #expect(throws: EmbeddingError.self) { _ = try BytePairTokenizer(Array(#"{"model": {"vocab": {"a"#.utf8)) }
  }
}
