// The vectors of one collection in a compact form, in a file beside the database, mapped into memory. It only ever says
// where to look: the truth are the vectors in the database, and a file that is missing, damaged, of another store or
// behind is made again from them.
//
// The file: a page of 4096 bytes, then blocks of 1,024 slots, each a whole number of pages. Numbers are little-endian.
//
//     page 0  offset  size
//             0       8     "BATVEC1\n"
//             8       8     the store's number, drawn when the database was made
//             16      8     the collection's number
//             24      4     dimension
//             28      4     checksum of the bytes before
//             32      8     slots in use
//             40      8     the collection's version in the database up to which the slots are right
//     block   0       8192  for each slot: the document's seq, ascending; negative once it is removed
//             8192    4096  scale, a float: a code times this is a component of the vector, which has length 1
//             12288   4096  error, a float: at most so long is what rounding to codes took away; minus infinity once removed
//             16384   4096  checksum of seq, scale, error and codes
//             20480   1024 · D   the codes, signed bytes; D is the dimension rounded up to a multiple of 32
//
// Slots are written after the database has committed, then their number, then the version. So whatever the moment of a
// crash, a file whose version is that of the database has every slot, or one with a wrong checksum.
//
// The search is exact. For every slot one pass over the codes gives a number that the cosine is not above (the error of
// rounding is known, and the inequality of Cauchy and Schwarz bounds what it does). Documents are taken in the order of
// these bounds, their cosines computed from the vectors in the database, until the next bound is below the worst of the
// best k: nothing behind it can be among them.

import CVector
import Glibc

final class VectorIndex {
  static let slotsPerBlock = 1024
  private static let pageSize = 4096
  private static let magic: [UInt8] = Array("BATVEC1\n".utf8)

  let dimension: Int
  /// The dimension of the codes.
  private let padded: Int
  private let path: String
  private let descriptor: Int32
  private var base: UnsafeMutableRawPointer
  private var size: Int
  /// Slots in use, removed ones too.
  private(set) var count: Int
  private(set) var removed = 0
  private var bounds: UnsafeMutableBufferPointer<Float> = .init(start: nil, count: 0)
  /// Which slots pass a filter.
  let metadata = MetadataIndex()

  private var blockSize: Int { Self.slotsPerBlock * (20 + padded) }
  private var capacity: Int { (size - Self.pageSize) / blockSize * Self.slotsPerBlock }

  /// The version of the collection that the slots stand for.
  var version: Int64 {
    get { base.load(fromByteOffset: 40, as: Int64.self) }
    set { base.storeBytes(of: newValue, toByteOffset: 40, as: Int64.self) }
  }

  /// Opens the file, or begins it anew with version 0 if it is not this collection's or is damaged.
  init(_ path: String, store: Int64, collection: Int64, dimension: Int) throws(MemoryError) {
    self.path = path
    self.dimension = dimension
    padded = (dimension + 31) / 32 * 32
    descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw MemoryError(.storage, "\(path) cannot be opened: \(String(cString: strerror(errno)))") }
    count = 0
    size = 0
    base = UnsafeMutableRawPointer(bitPattern: Self.pageSize)!
    var status = stat()
    fstat(descriptor, &status)
    let found = Int(status.st_size)
    if found >= Self.pageSize + blockSize, (found - Self.pageSize) % blockSize == 0 {
      try map(found)
      if hasHeader(store, collection), readSlots() { return }
    }
    try begin(store, collection)
  }

  deinit {
    if size > 0 { munmap(base, size) }
    close(descriptor)
    bounds.deallocate()
  }

  // MARK: The file

  private func map(_ newSize: Int) throws(MemoryError) {
    let pointer = mmap(nil, newSize, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    guard let pointer, pointer != MAP_FAILED else {
      throw MemoryError(.storage, "\(path) cannot be mapped into memory: \(String(cString: strerror(errno)))")
    }
    if size > 0 { munmap(base, size) }
    (base, size) = (pointer, newSize)
  }

  private func begin(_ store: Int64, _ collection: Int64) throws(MemoryError) {
    if size > 0 { munmap(base, size) }
    (size, count, removed) = (0, 0, 0)
    guard ftruncate(descriptor, 0) == 0 else {
      throw MemoryError(.storage, "\(path) cannot be emptied: \(String(cString: strerror(errno)))")
    }
    metadata.forget()
    try grow(Self.pageSize + blockSize)
    base.copyMemory(from: Self.magic, byteCount: 8)
    base.storeBytes(of: store, toByteOffset: 8, as: Int64.self)
    base.storeBytes(of: collection, toByteOffset: 16, as: Int64.self)
    base.storeBytes(of: UInt32(dimension), toByteOffset: 24, as: UInt32.self)
    base.storeBytes(of: bat_checksum(base, 28, 1), toByteOffset: 28, as: UInt32.self)
  }

  /// Empties the file.
  func remake(store: Int64, collection: Int64) throws(MemoryError) { try begin(store, collection) }

  private func hasHeader(_ store: Int64, _ collection: Int64) -> Bool {
    memcmp(base, Self.magic, 8) == 0 && base.load(fromByteOffset: 8, as: Int64.self) == store
      && base.load(fromByteOffset: 16, as: Int64.self) == collection && base.load(fromByteOffset: 24, as: UInt32.self) == UInt32(dimension)
      && base.load(fromByteOffset: 28, as: UInt32.self) == bat_checksum(base, 28, 1)
  }

  /// - Returns: whether all slots are sound.
  private func readSlots() -> Bool {
    let stored = base.load(fromByteOffset: 32, as: Int64.self)
    guard stored >= 0, stored <= capacity else { return false }
    var last: Int64 = 0
    for slot in 0..<Int(stored) {
      let seq = seqs(slot).pointee
      guard abs(seq) > last else { return false }
      last = abs(seq)
      if seq < 0 {
        removed += 1
      } else if checks(slot).pointee != checksum(slot) {
        return false
      }
    }
    count = Int(stored)
    return true
  }

  /// Makes the file longer. The room is taken now: a write into a mapped hole of a full disk would kill the process.
  private func grow(_ newSize: Int) throws(MemoryError) {
    let code = posix_fallocate(descriptor, 0, newSize)
    guard code == 0 else { throw MemoryError(.storage, "\(path) cannot grow to \(newSize) bytes: \(String(cString: strerror(code)))") }
    try map(newSize)
  }

  /// Makes room for more slots, so that `append` cannot fail.
  func reserve(_ more: Int) throws(MemoryError) {
    guard count + more > capacity else { return }
    let blocks = (count + more + Self.slotsPerBlock - 1) / Self.slotsPerBlock
    try grow(Self.pageSize + (blocks + blocks / 8) * blockSize)
  }

  // MARK: Slots

  private func block(_ slot: Int) -> UnsafeMutableRawPointer { base + Self.pageSize + slot / Self.slotsPerBlock * blockSize }
  private func seqs(_ slot: Int) -> UnsafeMutablePointer<Int64> {
    (block(slot) + slot % Self.slotsPerBlock * 8).assumingMemoryBound(to: Int64.self)
  }
  private func scales(_ slot: Int) -> UnsafeMutablePointer<Float> {
    (block(slot) + 8 * Self.slotsPerBlock + slot % Self.slotsPerBlock * 4).assumingMemoryBound(to: Float.self)
  }
  private func errors(_ slot: Int) -> UnsafeMutablePointer<Float> { scales(slot) + Self.slotsPerBlock }
  private func checks(_ slot: Int) -> UnsafeMutablePointer<UInt32> {
    (block(slot) + 16 * Self.slotsPerBlock + slot % Self.slotsPerBlock * 4).assumingMemoryBound(to: UInt32.self)
  }
  private func codes(_ slot: Int) -> UnsafeMutablePointer<Int8> {
    (block(slot) + 20 * Self.slotsPerBlock + slot % Self.slotsPerBlock * padded).assumingMemoryBound(to: Int8.self)
  }

  private func checksum(_ slot: Int) -> UInt32 {
    let seq = UInt64(bitPattern: seqs(slot).pointee)
    let seed =
      UInt32(truncatingIfNeeded: seq ^ seq >> 32) &+ scales(slot).pointee.bitPattern &* 0x85eb_ca6b &+ errors(slot).pointee.bitPattern
      &* 0xc2b2_ae35
    return bat_checksum(codes(slot), padded, seed)
  }

  /// How many vectors are in it.
  var live: Int { count - removed }
  /// The largest `seq` that is or was in it.
  var last: Int64 { count == 0 ? 0 : abs(seqs(count - 1).pointee) }

  /// Every `seq` in it, ascending.
  func forEachSeq(_ body: (Int64) -> Void) { for slot in 0..<count where seqs(slot).pointee > 0 { body(seqs(slot).pointee) } }

  /// Adds a vector of a length above 0. `seq` is above `last`, and there is room (`reserve`).
  func append(_ seq: Int64, _ vector: UnsafeRawBufferPointer) {
    precondition(count < capacity && seq > last && vector.count == dimension * 4, "room is reserved, seqs ascend, dimensions agree")
    let slot = count
    let length = bat_dot_floats(vector.baseAddress, vector.baseAddress, dimension).squareRoot()
    errors(slot).pointee = bat_quantise(vector.baseAddress, dimension, length, codes(slot), padded, scales(slot))
    seqs(slot).pointee = seq
    checks(slot).pointee = checksum(slot)
    count += 1
    base.storeBytes(of: Int64(count), toByteOffset: 32, as: Int64.self)
  }

  /// Takes a vector out, also out of the file. One that is not there is no error.
  func remove(_ seq: Int64) {
    guard let slot = slot(of: seq) else { return }
    seqs(slot).pointee = -seq
    scales(slot).pointee = 0
    errors(slot).pointee = -.infinity
    memset(codes(slot), 0, padded)
    removed += 1
  }

  func slot(of seq: Int64) -> Int? {
    guard count > 0 else { return nil }
    // Where nothing is left out it is just there.
    let guess = Int(seq - abs(seqs(0).pointee))
    if guess >= 0, guess < count, seqs(guess).pointee == seq { return guess }
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if abs(seqs(middle).pointee) < seq { low = middle + 1 } else { high = middle }
    }
    return low < count && seqs(low).pointee == seq ? low : nil
  }

  // MARK: Search

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
    let query = Query(query, padded: padded)
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
          (bound: $0.bound, seq: seqs(Int(among?[Int($0.place)] ?? $0.place)).pointee)
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
    bounds = .allocate(capacity: capacity)
  }

  private func allBounds(_ query: bat_query) {
    for first in stride(from: 0, to: count, by: Self.slotsPerBlock) {
      bat_upper_bounds(
        codes(first), scales(first), errors(first), padded, min(Self.slotsPerBlock, count - first), query, bounds.baseAddress! + first)
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
        let first = Int(slots[at]) / Self.slotsPerBlock * Self.slotsPerBlock
        var end = at + 1
        while end < slots.count, Int(slots[end]) < first + Self.slotsPerBlock { end += 1 }
        bat_upper_bounds_of(
          slots.baseAddress! + at, Int32(first), codes(first), scales(first), errors(first), padded, end - at, query,
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

  /// A query of length 1, rounded to 16 bits, or fewer where the sums of a high dimension would not fit.
  private struct Query {
    private let components: [Int16]
    private let scale: Float
    private let error: Float

    init(_ vector: [Float], padded: Int) {
      let length = vector.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      let largest = vector.reduce(0.0) { max($0, abs(Double($1))) } / length
      let steps = min(32767, Double(Int32.max / Int32(127 * padded)))
      let scale = Float(largest / steps)
      var components = [Int16](repeating: 0, count: padded)
      var lost = 0.0
      for (index, value) in vector.enumerated() {
        let exact = Double(value) / length
        let rounded = min(steps, max(-steps, (exact / Double(scale)).rounded()))
        components[index] = Int16(rounded)
        lost += (exact - rounded * Double(scale)) * (exact - rounded * Double(scale))
      }
      self.components = components
      self.scale = scale
      error = Float(lost.squareRoot() * (1 + 1e-6) + 1e-9)
    }

    func lend<R>(_ body: (bat_query) -> R) -> R {
      components.withUnsafeBufferPointer { body(bat_query(components: $0.baseAddress, scale: scale, error: error)) }
    }
  }
}
