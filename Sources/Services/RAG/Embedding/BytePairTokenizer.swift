import Wire

/// Cuts text into the tokens of a byte-pair encoding with byte fallback (Llama 2's), as Hugging Face's `tokenizers` does.
///
/// Text is cut at special tokens first. Each piece between them gets a "▁" at its beginning and in the place of each blank, falls
/// apart into characters (one that is no token: into its bytes), and then the pair that was learnt first is merged, again and
/// again; of equal ones the leftmost.
struct BytePairTokenizer: Sendable {
  private struct Merge {
    var rank: Int32
    var token: Int32
  }
  /// Tokens of one character.
  private var characters: [UInt32: Int32] = [:]
  /// Tokens of one byte.
  private var bytes: [Int32]
  private var merges: [UInt64: Merge] = [:]
  private var special: [(text: [UInt8], token: Int32)] = []
  let count: Int

  /// Reads the file `tokenizer.json` of Hugging Face. Everything in it that would make other tokens is checked, and refused if it
  /// is not known here.
  init(_ file: [UInt8]) throws(EmbeddingError) {
    let json: JSON
    do throws(JSON.Unreadable) { json = try JSON(parsing: file) } catch {
      throw EmbeddingError("the tokenizer's file is no JSON (\(error.why)); install it again with ./bat up")
    }
    func other(_ what: String) -> EmbeddingError { EmbeddingError("the tokenizer's file asks for \(what), which is not known here") }
    let model = json["model"] ?? .null
    guard model["type"] == "BPE", model["byte_fallback"] == true, model["ignore_merges"] != true, (model["dropout"] ?? .null) == .null,
      (model["continuing_subword_prefix"] ?? .null) == .null, (model["end_of_word_suffix"] ?? .null) == .null
    else { throw other("another model than a byte-pair encoding with byte fallback") }
    let normalizers = json["normalizer"]?["normalizers"]?.array ?? []
    guard
      normalizers == [
        ["type": "Prepend", "prepend": "▁"], ["type": "Replace", "pattern": ["String": " "], "content": "▁"],
      ], (json["pre_tokenizer"] ?? .null) == .null
    else { throw other("other preparations of the text") }
    guard let pairs = model["merges"]?.array else { throw other("no merges") }
    // By their bytes: to Swift two strings that look alike are one, and there is a token for each of them.
    var tokens: [[UInt8]: Int32] = [:]
    for (key, value) in RawJSON.members(of: Self.member("vocab", of: Self.member("model", of: file))) {
      guard let number = Int32(String(decoding: value, as: UTF8.self)), number >= 0 else { throw other("a token without a number") }
      let text = key.contains("\\") ? (try? JSON(parsing: "\"\(key)\"".utf8))?.string ?? key : key
      tokens[Array(text.utf8)] = number
      let scalars = text.unicodeScalars
      if let first = scalars.first, scalars.index(after: scalars.startIndex) == scalars.endIndex { characters[first.value] = number }
    }
    bytes = []
    for byte in 0..<256 {
      let digits = String(byte, radix: 16, uppercase: true)
      guard let token = tokens[Array("<0x\(digits.count < 2 ? "0" : "")\(digits)>".utf8)] else { throw other("bytes that have no token") }
      bytes.append(token)
    }
    merges.reserveCapacity(pairs.count)
    for (rank, pair) in pairs.enumerated() {
      // Older files write "a b", newer ones ["a", "b"].
      let parts = (pair.array?.compactMap(\.string) ?? pair.string?.split(separator: " ").map(String.init) ?? []).map { Array($0.utf8) }
      guard parts.count == 2, let left = tokens[parts[0]], let right = tokens[parts[1]], let token = tokens[parts[0] + parts[1]] else {
        throw other("a merge of tokens that it does not have")
      }
      let key = Self.key(left, right)
      if merges[key] == nil { merges[key] = Merge(rank: Int32(rank), token: token) }
    }
    for entry in json["added_tokens"]?.array ?? [] {
      guard let text = entry["content"]?.string, !text.isEmpty, let number = entry["id"]?.int.flatMap(Int32.init(exactly:)),
        entry["normalized"] != true, entry["single_word"] != true, entry["lstrip"] != true, entry["rstrip"] != true
      else { throw other("special tokens with conditions") }
      special.append((Array(text.utf8), number))
    }
    // The longest wins where several begin.
    special.sort { $0.text.count > $1.text.count }
    count = Int(max(tokens.values.max() ?? -1, special.map(\.token).max() ?? -1)) + 1
  }

  private static func member(_ key: String, of object: [UInt8]) -> [UInt8] {
    RawJSON.members(of: object).last { $0.key == key }.map { Array($0.value) } ?? []
  }

  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  /// The tokens of a text, without any that only mark its beginning or end.
  func tokens(of text: String) -> [Int32] {
    var text = text
    return text.withUTF8 { bytes in
      var tokens: [Int32] = []
      var start = 0
      var at = 0
      while at < bytes.count {
        guard bytes[at] == UInt8(ascii: "<"), let found = special.first(where: { starts($0.text, bytes, at) }) else {
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

  private func starts(_ text: [UInt8], _ bytes: UnsafeBufferPointer<UInt8>, _ at: Int) -> Bool {
    at + text.count <= bytes.count && text.indices.allSatisfy { bytes[at + $0] == text[$0] }
  }

  // MARK: One piece

  /// A pair that could be merged: at the symbol `place`, if that and its neighbour still are what they were.
  private struct Candidate {
    var rank: Int32
    var place: Int32
    var token: Int32
    func isBefore(_ other: Candidate) -> Bool { rank != other.rank ? rank < other.rank : place < other.place }
  }

  private func encode(_ piece: UnsafeBufferPointer<UInt8>, into tokens: inout [Int32]) {
    if piece.isEmpty { return }
    var symbols: [Int32] = []
    symbols.reserveCapacity(piece.count + 1)
    func add(_ scalar: Unicode.Scalar) {
      if let token = characters[scalar.value] { symbols.append(token) } else { for byte in String(scalar).utf8 { symbols.append(bytes[Int(byte)]) } }
    }
    add("▁")
    for scalar in String(decoding: piece, as: UTF8.self).unicodeScalars { add(scalar == " " ? "▁" : scalar) }
    merge(&symbols, into: &tokens)
  }

  private func merge(_ symbols: inout [Int32], into tokens: inout [Int32]) {
    let count = symbols.count
    var next = (1...count).map { Int32($0 < count ? $0 : -1) }
    var before = (0..<count).map { Int32($0 - 1) }
    var heap: [Candidate] = []
    func consider(_ place: Int32) {
      guard place >= 0, next[Int(place)] >= 0, let merge = merges[Self.key(symbols[Int(place)], symbols[Int(next[Int(place)])])] else { return }
      Self.push(Candidate(rank: merge.rank, place: place, token: merge.token), &heap)
    }
    for place in 0..<Int32(count) { consider(place) }
    while let best = Self.pop(&heap) {
      let place = Int(best.place)
      // −1: it was merged into its neighbour.
      guard symbols[place] >= 0, next[place] >= 0 else { continue }
      let right = Int(next[place])
      guard let merge = merges[Self.key(symbols[place], symbols[right])], merge.token == best.token, merge.rank == best.rank else { continue }
      symbols[place] = best.token
      symbols[right] = -1
      next[place] = next[right]
      if next[place] >= 0 { before[Int(next[place])] = best.place }
      consider(before[place])
      consider(best.place)
    }
    for symbol in symbols where symbol >= 0 { tokens.append(symbol) }
  }

  private static func push(_ candidate: Candidate, _ heap: inout [Candidate]) {
    heap.append(candidate)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      if !heap[child].isBefore(heap[parent]) { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  private static func pop(_ heap: inout [Candidate]) -> Candidate? {
    guard let best = heap.first else { return nil }
    let last = heap.removeLast()
    if heap.isEmpty { return best }
    heap[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].isBefore(heap[least]) { least = child }
      if least == parent { return best }
      heap.swapAt(least, parent)
      parent = least
    }
  }
}
