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

import CVector
import Glibc
import System

/// The file of one collection's vectors, slot by slot. For the store's thread.
final class VectorFile {
  static let slotsPerBlock = 1024
  private static let pageSize = 4096
  private static let magic: [UInt8] = Array("BATVEC1\n".utf8)

  let dimension: Int
  /// The dimension of the codes.
  let padded: Int
  private let path: String
  private let descriptor: Int32
  private var mapping: GuardedMapping?
  /// Of the mapping.
  private var base: UnsafeMutableRawPointer
  private var size: Int
  /// Slots in use, removed ones too.
  private(set) var count: Int
  private(set) var removed = 0

  private var blockSize: Int { Self.slotsPerBlock * (20 + padded) }
  var capacity: Int { (size - Self.pageSize) / blockSize * Self.slotsPerBlock }

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
    try begin(store: store, collection: collection)
  }

  deinit { close(descriptor) }

  // MARK: The file

  /// Whether all that is mapped is still there. Where something was cut off, zeros are read: to be asked before each use, and after it
  /// whether what was read counts.
  var isWhole: Bool {
    var status = stat()
    return (mapping?.isWhole ?? true) && fstat(descriptor, &status) == 0 && Int(status.st_size) >= size
  }

  private func map(_ newSize: Int) throws(MemoryError) {
    do throws(Errno) {
      let new = try GuardedMapping(descriptor, size: newSize, isWritable: true)
      (mapping, base, size) = (new, new.base, newSize)
    } catch { throw MemoryError(.storage, "\(path) cannot be mapped into memory: \(error)") }
  }

  /// Empties the file and writes its header, with version 0.
  func begin(store: Int64, collection: Int64) throws(MemoryError) {
    mapping = nil
    (size, count, removed) = (0, 0, 0)
    guard ftruncate(descriptor, 0) == 0 else {
      throw MemoryError(.storage, "\(path) cannot be emptied: \(String(cString: strerror(errno)))")
    }
    try grow(Self.pageSize + blockSize)
    base.copyMemory(from: Self.magic, byteCount: 8)
    base.storeBytes(of: store, toByteOffset: 8, as: Int64.self)
    base.storeBytes(of: collection, toByteOffset: 16, as: Int64.self)
    base.storeBytes(of: UInt32(dimension), toByteOffset: 24, as: UInt32.self)
    base.storeBytes(of: bat_checksum(base, 28, 1), toByteOffset: 28, as: UInt32.self)
  }

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
      guard seq != .min, abs(seq) > last else { return false }
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
    guard code == 0 else {
      throw MemoryError(
        code == ENOSPC ? .diskFull : .storage, "\(path) cannot grow to \(newSize) bytes: \(String(cString: strerror(code)))")
    }
    try map(newSize)
  }

  /// Makes room for more slots, so that `append` cannot fail.
  func reserve(_ more: Int) throws(MemoryError) {
    guard count + more > capacity else { return }
    let blocks = (count + more + Self.slotsPerBlock - 1) / Self.slotsPerBlock
    try grow(Self.pageSize + (blocks + blocks / 8) * blockSize)
  }

  // MARK: Slots

  // Where a slot's parts are. What stands behind it in its block follows each.
  private func block(_ slot: Int) -> UnsafeMutableRawPointer { base + Self.pageSize + slot / Self.slotsPerBlock * blockSize }
  func seqs(_ slot: Int) -> UnsafeMutablePointer<Int64> {
    (block(slot) + slot % Self.slotsPerBlock * 8).assumingMemoryBound(to: Int64.self)
  }
  func scales(_ slot: Int) -> UnsafeMutablePointer<Float> {
    (block(slot) + 8 * Self.slotsPerBlock + slot % Self.slotsPerBlock * 4).assumingMemoryBound(to: Float.self)
  }
  func errors(_ slot: Int) -> UnsafeMutablePointer<Float> { scales(slot) + Self.slotsPerBlock }
  private func checks(_ slot: Int) -> UnsafeMutablePointer<UInt32> {
    (block(slot) + 16 * Self.slotsPerBlock + slot % Self.slotsPerBlock * 4).assumingMemoryBound(to: UInt32.self)
  }
  func codes(_ slot: Int) -> UnsafeMutablePointer<Int8> {
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
  var last: Int64 { count == 0 ? 0 : number(count - 1) }
  /// The `seq` that is or was in a slot. Whatever somebody has written there, it is a number above 0.
  private func number(_ slot: Int) -> Int64 { Int64(clamping: seqs(slot).pointee.magnitude) }

  /// Adds a vector, for which there is room (`reserve`).
  ///
  /// - Returns: false if it is no vector of this file: of another dimension, without a finite length above 0, or with a `seq`
  ///   that is not above `last`. Then nothing has changed.
  func append(_ seq: Int64, _ vector: UnsafeRawBufferPointer) -> Bool {
    guard count < capacity, seq > last, vector.count == dimension * 4 else { return false }
    let slot = count
    let length = bat_dot_floats(vector.baseAddress, vector.baseAddress, dimension).squareRoot()
    guard length > 0, length.isFinite else { return false }
    errors(slot).pointee = bat_quantise(vector.baseAddress, dimension, length, codes(slot), padded, scales(slot))
    seqs(slot).pointee = seq
    checks(slot).pointee = checksum(slot)
    count += 1
    base.storeBytes(of: Int64(count), toByteOffset: 32, as: Int64.self)
    return true
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

  /// The slot of a document's vector; nil if it has none.
  func slot(of seq: Int64) -> Int? {
    guard count > 0, seq > 0 else { return nil }
    // Where nothing is left out it is just there.
    let guess = Int(seq - number(0))
    if guess >= 0, guess < count, seqs(guess).pointee == seq { return guess }
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if number(middle) < seq { low = middle + 1 } else { high = middle }
    }
    return low < count && seqs(low).pointee == seq ? low : nil
  }
}
