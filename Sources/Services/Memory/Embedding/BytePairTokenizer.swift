import Kernel
import Wire

/// Cuts text into the tokens of a byte-pair encoding with byte fallback (Llama 2's), as Hugging Face's `tokenizers` does.
///
/// Text is cut at special tokens first. Each piece between them gets a "▁" at its beginning and in the place of each blank, falls
/// apart into characters (one that is no token: into its bytes), and then the pair that was learnt first is merged, again and
/// again; of equal ones the leftmost. A text of n bytes takes O(n log n).
struct BytePairTokenizer: Sendable {
  private struct Merge {
    /// When it was learnt: the smallest goes first.
    var rank: UInt32
    var token: Int32
  }

  /// Tokens of one character, by its scalar.
  private var characters: [UInt32: Int32] = [:]
  /// Tokens of one byte.
  private var bytes: [Int32] = []
  private var merges: [UInt64: Merge] = [:]
  /// The longest first: it wins where several begin.
  private var special: [(text: [UInt8], token: Int32)] = []

  /// Reads the file `tokenizer.json` of Hugging Face. Everything in it that would make other tokens is checked, and refused
  /// if it is not known here.
  init(_ file: [UInt8]) throws(EmbeddingError) {
    guard file.withUnsafeBytes(isJSONValue) else { throw EmbeddingError(.damaged, "it is no JSON: install it again with ./bat up") }
    func other(_ what: String) -> EmbeddingError { EmbeddingError(.damaged, "it asks for \(what), which is not known here") }
    let parts = Members(file[...])
    let model = Members(parts.raw("model"))
    guard model["type"] == "BPE", model["byte_fallback"] == true, model["ignore_merges"] != true, model["dropout"] == .null,
      model["continuing_subword_prefix"] == .null, model["end_of_word_suffix"] == .null
    else { throw other("another model than a byte-pair encoding with byte fallback") }
    let preparation: JSON = [
      "type": "Sequence",
      "normalizers": [
        ["type": "Prepend", "prepend": "▁"], ["type": "Replace", "pattern": ["String": " "], "content": "▁"],
      ],
    ]
    guard parts["normalizer"] == preparation, parts["pre_tokenizer"] == .null else { throw other("other preparations of the text") }
    let tokens = try Self.vocabulary(model.raw("vocab"))
    for (piece, token) in tokens {
      let scalars = piece.text.unicodeScalars
      if let first = scalars.first, scalars.dropFirst().isEmpty { characters[first.value] = token }
    }
    for byte in 0..<256 {
      let digits = String(byte, radix: 16, uppercase: true)
      guard let token = tokens[Piece("<0x\(byte < 16 ? "0" : "")\(digits)>")] else { throw other("bytes that have no token") }
      bytes.append(token)
    }
    guard let pairs = model["merges"].array else { throw other("no merges") }
    merges.reserveCapacity(pairs.count)
    for (rank, pair) in pairs.enumerated() {
      // Older files write "a b", newer ones ["a", "b"].
      let halves = pair.string?.unicodeScalars.split(separator: " ").map(String.init) ?? pair.array?.compactMap(\.string) ?? []
      guard let left = halves.first, let right = halves.last, halves.count == 2, let first = tokens[Piece(left)],
        let second = tokens[Piece(right)], let whole = tokens[Piece(left + right)]
      else { throw other("a merge of tokens that it does not have") }
      merges[Self.key(first, second)] = Merge(rank: UInt32(rank), token: whole)
    }
    for entry in parts["added_tokens"].array ?? [] {
      guard let text = entry["content"]?.string, !text.isEmpty, let token = entry["id"]?.int.flatMap(Int32.init(exactly:)), token >= 0,
        entry["normalized"] != true, entry["single_word"] != true, entry["lstrip"] != true, entry["rstrip"] != true
      else { throw other("special tokens with conditions") }
      special.append((Array(text.utf8), token))
    }
    special.sort { $0.text.count > $1.text.count }
  }

  /// The tokens of a text, without any that only mark its beginning or end.
  func tokens(of text: String) -> [Int32] {
    var text = text
    return text.withUTF8 { bytes in
      var tokens: [Int32] = []
      var start = 0
      var at = 0
      while at < bytes.count {
        guard let found = special.first(where: { Self.starts($0.text, bytes, at) }) else {
          at += 1
          continue
        }
        encode(UnsafeBufferPointer(rebasing: bytes[start..<at]), into: &tokens)
        tokens.append(found.token)
        at += found.text.count
        start = at
      }
      encode(UnsafeBufferPointer(rebasing: bytes[start...]), into: &tokens)
      return tokens
    }
  }

  private static func starts(_ text: [UInt8], _ bytes: UnsafeBufferPointer<UInt8>, _ at: Int) -> Bool {
    text[0] == bytes[at] && at + text.count <= bytes.count && text.indices.allSatisfy { bytes[at + $0] == text[$0] }
  }

  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  // MARK: One piece

  private func encode(_ piece: UnsafeBufferPointer<UInt8>, into tokens: inout [Int32]) {
    if piece.isEmpty { return }
    var symbols: [Int32] = []
    symbols.reserveCapacity(piece.count + 1)
    func add(_ scalar: Unicode.Scalar) {
      if let token = characters[scalar.value] { return symbols.append(token) }
      for byte in UTF8.encode(scalar)! { symbols.append(bytes[Int(byte)]) }
    }
    add("▁")
    for scalar in String(decoding: piece, as: UTF8.self).unicodeScalars { add(scalar == " " ? "▁" : scalar) }
    merge(&symbols)
    for symbol in symbols where symbol >= 0 { tokens.append(symbol) }
  }

  /// Merges until nothing can be merged. A symbol that has become part of its left neighbour is −1 then.
  private func merge(_ symbols: inout [Int32]) {
    let count = symbols.count
    var next = (1...count).map { Int32($0 < count ? $0 : -1) }
    var previous = (0..<count).map { Int32($0 - 1) }
    // What could be merged, as rank and place in one number: so the least one is the next.
    var candidates = MinimumHeap()
    func merge(at place: Int) -> Merge? {
      next[place] < 0 ? nil : merges[Self.key(symbols[place], symbols[Int(next[place])])]
    }
    func consider(_ place: Int) {
      if let merge = merge(at: place) { candidates.insert(UInt64(merge.rank) << 32 | UInt64(place)) }
    }
    for place in 0..<count { consider(place) }
    while let candidate = candidates.removeFirst() {
      let place = Int(candidate & 0xFFFF_FFFF)
      // The symbol or its neighbour may have become another one meanwhile.
      guard symbols[place] >= 0, let merge = merge(at: place), UInt64(merge.rank) == candidate >> 32 else { continue }
      let right = Int(next[place])
      symbols[place] = merge.token
      symbols[right] = -1
      next[place] = next[right]
      if next[place] >= 0 { previous[Int(next[place])] = Int32(place) }
      if previous[place] >= 0 { consider(Int(previous[place])) }
      consider(place)
    }
  }
}

// MARK: The file

extension BytePairTokenizer {
  /// A token's text, told from others by its bytes: Swift holds two strings for one if they only look alike, and there
  /// is a token for each.
  private struct Piece: Hashable {
    let text: String
    init(_ text: String) { self.text = text }
    static func == (a: Piece, b: Piece) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }
    func hash(into hasher: inout Hasher) {
      var text = text
      text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
  }

  private static func vocabulary(_ json: ArraySlice<UInt8>) throws(EmbeddingError) -> [Piece: Int32] {
    let members = RawJSON.members(of: Array(json))
    var tokens: [Piece: Int32] = [:]
    tokens.reserveCapacity(members.count)
    for (key, value) in members {
      let text = key.contains("\\") ? (try? JSON(parsing: "\"\(key)\"".utf8))?.string : key
      guard let text, let token = Int32(String(decoding: value, as: UTF8.self)), token >= 0 else {
        throw EmbeddingError(.damaged, "its token \"\(key)\" has no number")
      }
      tokens[Piece(text)] = token
    }
    return tokens
  }

  /// The members of an object, of which only those are read that are asked for. What is not there is null.
  private struct Members {
    private let members: [(key: String, value: ArraySlice<UInt8>)]
    init(_ json: ArraySlice<UInt8>) { members = RawJSON.members(of: Array(json)) }
    func raw(_ key: String) -> ArraySlice<UInt8> { members.last { $0.key == key }?.value ?? [] }
    subscript(key: String) -> JSON { (try? JSON(parsing: raw(key))) ?? .null }
  }
}

/// Numbers of which the least is taken first.
struct MinimumHeap {
  private var items: [UInt64] = []

  mutating func insert(_ item: UInt64) {
    items.append(item)
    var child = items.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      if items[parent] <= item { break }
      items[child] = items[parent]
      child = parent
    }
    items[child] = item
  }

  mutating func removeFirst() -> UInt64? {
    guard let least = items.first, let item = items.popLast() else { return nil }
    if items.isEmpty { return least }
    var parent = 0
    while true {
      var child = 2 * parent + 1
      if child >= items.count { break }
      if child + 1 < items.count, items[child + 1] < items[child] { child += 1 }
      if item <= items[child] { break }
      items[parent] = items[child]
      parent = child
    }
    items[parent] = item
    return least
  }
}
