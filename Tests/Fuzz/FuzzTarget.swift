import TestSupport

/// What is not true of an input.
struct BrokenClaim: Error {
  let claim: String
}

/// Something that takes bytes of others, and what must be true of it whatever they are.
struct FuzzTarget {
  let name: String
  /// What an input is called that is taken.
  let taken: String
  /// Where the inputs are from, for people.
  let source: String
  let corpus: [[UInt8]]
  let pieces: [[UInt8]]
  /// Checks all claims; true if the input is taken. The mutator chooses where an input is cut.
  let check: (_ input: [UInt8], GuardedMemory, inout Mutator) throws(BrokenClaim) -> Bool

  static func all() -> [FuzzTarget] {
    [
      FuzzTarget(name: "wire", taken: "grams", source: "lines of \(Corpus.folder)", corpus: Corpus.lines(), pieces: Mutator.json) {
        (input, memory, _) throws(BrokenClaim) in
        try WireClaims.check(input, memory)
      },
      FuzzTarget(
        name: "answers", taken: "whole answers", source: "answers of model servers", corpus: RecordedAnswer.all.map(\.body),
        pieces: Mutator.json + AnswerClaims.pieces
      ) { (input, memory, mutator) throws(BrokenClaim) in
        let cuts = (0..<3).map { _ in mutator.number(below: input.count + 1) }.sorted()
        return try AnswerClaims.check(input, cuts: cuts, in: memory)
      },
      FuzzTarget(
        name: "documents", taken: "read", source: "documents of \(Corpus.folder)", corpus: Corpus.files("documents"),
        pieces: DocumentClaims.pieces
      ) { (input, memory, _) throws(BrokenClaim) in
        try DocumentClaims.check(input, memory)
      },
      FuzzTarget(
        name: "libraries", taken: "personas", source: "libraries of \(Corpus.folder)", corpus: Corpus.files("libraries"),
        pieces: LibraryClaims.pieces
      ) { (input, memory, _) throws(BrokenClaim) in
        try LibraryClaims.check(input, memory)
      },
    ]
  }
}
