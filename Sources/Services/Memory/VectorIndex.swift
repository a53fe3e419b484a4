// The search is exact. For every slot one pass over the codes gives a number that the cosine is not above (the error of
// rounding is known, and the inequality of Cauchy and Schwarz bounds what it does). Documents are taken in the order of
// these bounds, their cosines computed from the vectors in the database, until the next bound is below the worst of the
// best k: nothing behind it can be among them.

import CVector

/// Finds the nearest of one collection's vectors. For the store's thread.
final class VectorIndex {
  let file: VectorFile
  /// Which slots pass a filter.
  let metadata = MetadataIndex()
  /// One for each slot, used anew by each search.
  private var bounds: UnsafeMutableBufferPointer<Float> = .init(start: nil, count: 0)

  private var count: Int { file.count }

  init(_ file: VectorFile) { self.file = file }

  deinit { bounds.deallocate() }

  /// A vector's neighbour: the cosine is exact.
  struct Neighbour: Equatable {
    var seq: Int64
    var similarity: Double
  }

  private struct Candidate {
    var bound: Float
    /// A slot, or a place in the list of slots that count.
    var place: Int32
  }

  /// The `limit` nearest vectors, the nearest first; of equal ones the older. Nil if `admit` gave up.
  ///
  /// - Parameters:
  ///   - among: 1 for each slot that counts, 0 for the others; nil: all count.
  ///   - similarity: the cosine with the query, from the vector itself; nil if it is not there any more.
  ///   - admit: of these, those that count; nil to give up.
  func search(
    _ query: [Float], limit: Int, among: [UInt8]? = nil, similarity: (Int64) throws(MemoryError) -> Double?,
    admit: ([Int64]) throws(MemoryError) -> Set<Int64>?
  ) throws(MemoryError) -> [Neighbour]? {
    try search(query, limit, among, similarity, inChunksOf: 64, admit)
  }

  func search(_ query: [Float], limit: Int, among: [UInt8]? = nil, similarity: (Int64) throws(MemoryError) -> Double?)
    throws(MemoryError) -> [Neighbour]
  {
    try search(query, limit, among, similarity, inChunksOf: 1) { (seqs) throws(MemoryError) in Set(seqs) }!
  }

  private func search(
    _ query: [Float], _ limit: Int, _ passing: [UInt8]?, _ similarity: (Int64) throws(MemoryError) -> Double?,
    inChunksOf chunkSize: Int, _ admit: ([Int64]) throws(MemoryError) -> Set<Int64>?
  ) throws(MemoryError) -> [Neighbour]? {
    guard limit > 0, count > 0 else { return [] }
    makeRoomForBounds()
    let query = RoundedQuery(query, padded: file.padded)
    // Where few count, only theirs are looked at; where many do, memory is read fastest in its order.
    let among = passing.flatMap { passing in
      let few = passing.reduce(0) { $0 &+ Int($1) }
      return few > count / 4 ? nil : Self.slots(of: passing, few)
    }
    let total = among?.count ?? count
    query.lend {
      if let among { return boundsOf(among, $0) }
      allBounds($0)
      if let passing { mask(passing) }
    }
    var nearest: [Neighbour] = []
    var seen: Set<Int32> = []
    var width = 2 * limit + 32
    while true {
      // The candidates with the highest bounds, and what no other's bound is above.
      let (candidates, rest) = best(width, of: total)
      var at = 0
      while at < candidates.count {
        let chunk = candidates[at..<min(at + chunkSize, candidates.count)]
        at = chunk.endIndex
        if nearest.count == limit, Double(chunk.first!.bound) < nearest[limit - 1].similarity { return nearest }
        let new = chunk.filter { seen.insert($0.place).inserted }.map {
          (bound: $0.bound, seq: file.seqs(Int(among?[Int($0.place)] ?? $0.place)).pointee)
        }
        if new.isEmpty { continue }
        guard let admitted = try admit(new.map(\.seq)) else { return nil }
        for candidate in new {
          guard admitted.contains(candidate.seq) else { continue }
          if nearest.count == limit, Double(candidate.bound) < nearest[limit - 1].similarity { break }
          guard let similarity = try similarity(candidate.seq) else { continue }
          insert(Neighbour(seq: candidate.seq, similarity: similarity), limit, &nearest)
        }
      }
      if rest == -.infinity || (nearest.count == limit && Double(rest) < nearest[limit - 1].similarity) { return nearest }
      width *= 4
    }
  }

  private func insert(_ new: Neighbour, _ limit: Int, _ nearest: inout [Neighbour]) {
    func isBefore(_ a: Neighbour, _ b: Neighbour) -> Bool { (b.similarity, a.seq) < (a.similarity, b.seq) }
    if nearest.count == limit {
      guard isBefore(new, nearest[limit - 1]) else { return }
      nearest.removeLast()
    }
    var (low, high) = (0, nearest.count)
    while low < high {
      let middle = (low + high) / 2
      if isBefore(nearest[middle], new) { low = middle + 1 } else { high = middle }
    }
    nearest.insert(new, at: low)
  }

  private func makeRoomForBounds() {
    if bounds.count >= count { return }
    bounds.deallocate()
    bounds = .allocate(capacity: file.capacity)
  }

  private func allBounds(_ query: bat_query) {
    for first in stride(from: 0, to: count, by: VectorFile.slotsPerBlock) {
      bat_upper_bounds(
        file.codes(first), file.scales(first), file.errors(first), file.padded, min(VectorFile.slotsPerBlock, count - first), query,
        bounds.baseAddress! + first)
    }
  }

  /// Nothing is above minus infinity.
  private func mask(_ passing: [UInt8]) {
    let bounds = bounds
    passing.withUnsafeBufferPointer { passing in
      for slot in passing.indices { bounds[slot] = passing[slot] == 0 ? -.infinity : bounds[slot] }
    }
  }

  private static func slots(of passing: [UInt8], _ count: Int) -> [Int32] {
    [Int32](unsafeUninitializedCapacity: count + 1) { slots, found in
      found = 0
      // Written in any case, and only then kept or not: so no step waits for a guess.
      for slot in passing.indices {
        slots[found] = Int32(truncatingIfNeeded: slot)
        found += Int(passing[slot])
      }
    }
  }

  private func boundsOf(_ slots: [Int32], _ query: bat_query) {
    slots.withUnsafeBufferPointer { slots in
      var at = 0
      while at < slots.count {
        let first = Int(slots[at]) / VectorFile.slotsPerBlock * VectorFile.slotsPerBlock
        var end = at + 1
        while end < slots.count, Int(slots[end]) < first + VectorFile.slotsPerBlock { end += 1 }
        bat_upper_bounds_of(
          slots.baseAddress! + at, Int32(first), file.codes(first), file.scales(first), file.errors(first), file.padded, end - at, query,
          bounds.baseAddress! + at)
        at = end
      }
    }
  }

  /// The places with the highest bounds in their order, and a bound that none of the others is above.
  private func best(_ width: Int, of total: Int) -> ([Candidate], rest: Float) {
    var best: [Candidate] = []
    best.reserveCapacity(2 * width)
    var floor = -Float.infinity
    func cut() {
      best.sort { $0.bound > $1.bound }
      guard best.count > width else { return }
      floor = best[width].bound
      best.removeLast(best.count - width)
    }
    let bounds = UnsafeBufferPointer(rebasing: bounds[..<total])
    for place in bounds.indices where bounds[place] > floor {
      best.append(Candidate(bound: bounds[place], place: Int32(place)))
      if best.count == 2 * width { cut() }
    }
    cut()
    return (best, floor)
  }
}
