import Glibc
import System
import Wire

/// A file of tensors, mapped into memory and never read whole.
///
///     8 bytes    N, little-endian
///     N bytes    JSON: {"NAME": {"dtype": "F16", "shape": [R, C], "data_offsets": [BEGIN, END]}, …}, "__metadata__" besides
///     the rest   the numbers, little-endian, row by row; offsets begin here
///
/// The mapping lives as long as the object. Any thread. Who replaces the file must rename a new one into its place, as pip
/// does: in one that is shortened while it is mapped, zeros stand for the rest (`isWhole`).
final class Safetensors: @unchecked Sendable {
  struct Tensor: Sendable, Equatable {
    var type: String
    var shape: [Int]
    /// In the file.
    var range: Range<Int>
  }

  let path: String
  private(set) var tensors: [String: Tensor] = [:]
  private let mapping: GuardedMapping
  private var base: UnsafeRawPointer { UnsafeRawPointer(mapping.base) }
  private var count: Int { mapping.size }

  init(_ path: String) throws(EmbeddingError) {
    self.path = path
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      throw EmbeddingError(.notInstalled, "\(path) cannot be opened (\(String(cString: strerror(errno)))): run `./bat up`")
    }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_size >= 8 else { throw Self.damaged(path, "it has only \(status.st_size) bytes") }
    do throws(Errno) { mapping = try GuardedMapping(file, size: Int(status.st_size), isWritable: false) } catch {
      throw EmbeddingError(.damaged, "\(path) cannot be mapped: \(error)")
    }
    tensors = try read()
  }

  /// Whether all that was read so far was in the file.
  var isWhole: Bool { mapping.isWhole }

  private static func damaged(_ path: String, _ why: String) -> EmbeddingError {
    EmbeddingError(.damaged, "\(path) is damaged (\(why)): remove it, and install it again with ./bat up")
  }

  private func read() throws(EmbeddingError) -> [String: Tensor] {
    let length = UInt64(littleEndian: base.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(count - 8) else { throw Self.damaged(path, "its head is longer than the file") }
    let head: JSON
    do throws(JSON.Unreadable) { head = try JSON(parsing: UnsafeRawBufferPointer(start: base + 8, count: Int(length))) } catch {
      throw Self.damaged(path, "its head is \(error.why)")
    }
    let start = 8 + Int(length)
    var tensors: [String: Tensor] = [:]
    for (name, entry) in head.object ?? [:] where name != "__metadata__" {
      guard let tensor = Self.tensor(entry, start: start, room: count - start) else {
        throw Self.damaged(path, "the tensor \(name) is not where its head says")
      }
      tensors[name] = tensor
    }
    return tensors
  }

  private static let sizes = ["F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1]

  private static func tensor(_ entry: JSON, start: Int, room: Int) -> Tensor? {
    guard let type = entry["dtype"]?.string, let size = sizes[type], let dimensions = entry["shape"]?.array,
      let ends = entry["data_offsets"]?.array, ends.count == 2, let begin = ends[0].int, let end = ends[1].int,
      0 <= begin, begin <= end, end <= room
    else { return nil }
    var shape: [Int] = []
    var bytes = size
    for dimension in dimensions {
      guard let extent = dimension.int, extent >= 0 else { return nil }
      let product = bytes.multipliedReportingOverflow(by: extent)
      if product.overflow { return nil }
      bytes = product.partialValue
      shape.append(extent)
    }
    return bytes == end - begin ? Tensor(type: type, shape: shape, range: start + begin..<start + end) : nil
  }

  /// Lends the bytes of a tensor of this file.
  func withBytes<R>(of tensor: Tensor, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    body(UnsafeRawBufferPointer(start: base + tensor.range.lowerBound, count: tensor.range.count))
  }
}
