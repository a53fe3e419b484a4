import Glibc
import Wire

/// A file of tensors, mapped into memory and never read whole.
///
///     8 bytes    N, little-endian
///     N bytes    JSON: {"NAME": {"dtype": "F16", "shape": [R, C], "data_offsets": [BEGIN, END]}, …}, "__metadata__" besides
///     the rest   the numbers, little-endian, row by row; offsets begin here
///
/// The mapping lives as long as the object. Any thread.
final class Safetensors: @unchecked Sendable {
  struct Tensor: Sendable, Equatable {
    var type: String
    var shape: [Int]
    var range: Range<Int>
  }

  let path: String
  private(set) var tensors: [String: Tensor] = [:]
  private let base: UnsafeRawPointer
  private let count: Int

  init(_ path: String) throws(EmbeddingError) {
    self.path = path
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw EmbeddingError("\(path) cannot be opened: \(String(cString: strerror(errno)))") }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_size >= 8 else { throw EmbeddingError("\(path) is cut off: it has \(status.st_size) bytes") }
    count = Int(status.st_size)
    guard let mapped = mmap(nil, count, PROT_READ, MAP_SHARED, file, 0), mapped != MAP_FAILED else {
      throw EmbeddingError("\(path) cannot be mapped: \(String(cString: strerror(errno)))")
    }
    base = UnsafeRawPointer(mapped)
    do throws(EmbeddingError) { tensors = try read() } catch {
      munmap(mapped, count)
      throw error
    }
  }

  deinit { munmap(UnsafeMutableRawPointer(mutating: base), count) }

  private func read() throws(EmbeddingError) -> [String: Tensor] {
    func damaged(_ why: String) -> EmbeddingError { EmbeddingError("\(path) is damaged: \(why); install it again with ./bat up") }
    let length = UInt64(littleEndian: base.loadUnaligned(as: UInt64.self))
    guard length <= 100 << 20, Int(length) <= count - 8 else { throw damaged("its head is longer than the file") }
    let head: JSON
    do throws(JSON.Unreadable) { head = try JSON(parsing: UnsafeRawBufferPointer(start: base + 8, count: Int(length))) } catch {
      throw damaged("its head is no JSON (\(error.why))")
    }
    var tensors: [String: Tensor] = [:]
    let start = 8 + Int(length)
    let sizes = ["F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1]
    for (name, entry) in head.object ?? [:] where name != "__metadata__" {
      let offsets = entry["data_offsets"]?.array?.compactMap(\.int) ?? []
      let shape = entry["shape"]?.array?.compactMap(\.int) ?? []
      guard let type = entry["dtype"]?.string, let size = sizes[type], offsets.count == 2, shape.count == entry["shape"]?.array?.count,
        shape.allSatisfy({ $0 >= 0 && $0 < 1 << 40 }), 0 <= offsets[0], offsets[0] <= offsets[1], offsets[1] <= count - start,
        shape.reduce(size, { $0.multipliedReportingOverflow(by: $1).partialValue }) == offsets[1] - offsets[0]
      else { throw damaged("the tensor \(name) is not where its head says") }
      tensors[name] = Tensor(type: type, shape: shape, range: start + offsets[0]..<start + offsets[1])
    }
    return tensors
  }

  /// Lends the bytes of a tensor.
  func withBytes<R>(of tensor: Tensor, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    body(UnsafeRawBufferPointer(start: base + tensor.range.lowerBound, count: tensor.range.count))
  }
}
