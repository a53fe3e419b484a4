/// Finds the word that was meant.
public enum Suggestion {
  /// The word that differs least from `word`, if it may well have been meant: few slips of the finger, or its beginning.
  public static func nearest(to word: String, among words: [String]) -> String? {
    let word = word.lowercased()
    let near = words.map { (word: $0, distance: distance(word, $0.lowercased())) }.min { $0.distance < $1.distance }
    if let near, near.distance <= max(1, min(3, word.count / 3)) { return near.word }
    return words.first { word.count >= 3 && $0.lowercased().hasPrefix(word) }
  }

  /// How many letters must be put in, left out, replaced, or exchanged with their neighbour.
  public static func distance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a), Array(b))
    // Three rows of the table are enough: an exchange looks two back.
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in a.indices {
      var row = [i + 1]
      for j in b.indices {
        var best = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, beforeLast[j - 1] + 1) }
        row.append(best)
      }
      (beforeLast, last) = (last, row)
    }
    return last[b.count]
  }
}
