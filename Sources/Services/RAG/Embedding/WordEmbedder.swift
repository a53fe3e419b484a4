import Glibc
import Wire

/// The embedded default: a text's vector is the mean of its tokens' rows in a table. `./bat up` installs the table.
///
/// Quick (no network to run), and good at what texts are about; word order is nothing to it.
public final class WordEmbedder: Embedder {
  public let id: String
  public let dimension: Int
  private let tokenizer: BytePairTokenizer
  private let file: Safetensors
  private let table: Safetensors.Tensor
  private let rows: Int

  /// - Parameters:
  ///   - folder: of the package `wordllama`, with `weights` and `tokenizers` in it.
  ///   - version: the package's, for the id.
  public init(folder: String, version: String) throws(EmbeddingError) {
    file = try Safetensors(folder + "/weights/l2_supercat_256.safetensors")
    guard let table = file.tensors["embedding.weight"], table.type == "F16", table.shape.count == 2, table.shape[1] % 16 == 0, table.shape[0] > 0
    else { throw EmbeddingError("\(file.path) has no table of half-precision rows named embedding.weight") }
    self.table = table
    rows = table.shape[0]
    dimension = table.shape[1]
    id = "wordllama-\(version)/\(dimension)"
    let path = folder + "/tokenizers/l2_supercat_tokenizer_config.json"
    do throws(EmbeddingError) { tokenizer = try BytePairTokenizer(Self.read(path)) } catch {
      throw EmbeddingError("\(path): \(error)")
    }
  }

  /// The whole file; empty if it cannot be read.
  private static func read(_ path: String) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return [] }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { return [] }
    return [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
      while count < buffer.count {
        let n = Glibc.read(file, buffer.baseAddress! + count, buffer.count - count)
        if n <= 0 { break }
        count += n
      }
    }
  }

  func tokens(of text: String) -> [Int32] { tokenizer.tokens(of: text) }

  public func embed(_ texts: [String]) throws(EmbeddingError) -> [[Float]] { texts.map { mean(of: tokenizer.tokens(of: $0)) } }

  private func mean(of tokens: [Int32]) -> [Float] {
    if tokens.isEmpty { return [Float](repeating: 0, count: dimension) }
    return file.withBytes(of: table) { bytes in
      var sums = [SIMD16<Float>](repeating: .zero, count: dimension / 16)
      for token in tokens {
        // As the reference does it: what the table does not have is its last row.
        let row = min(Int(token), rows - 1) * dimension * 2
        for lane in sums.indices { sums[lane] += Self.floats(bytes.loadUnaligned(fromByteOffset: row + lane * 32, as: SIMD16<UInt16>.self)) }
      }
      let scale = 1 / Float(tokens.count)
      return sums.flatMap { sum in (0..<16).map { sum[$0] * scale } }
    }
  }

  /// Half precision to single, exactly; infinities and what is no number do not stand in a table of weights.
  private static func floats(_ halves: SIMD16<UInt16>) -> SIMD16<Float> {
    let bits = SIMD16<UInt32>(truncatingIfNeeded: halves)
    let magnitude = unsafeBitCast((bits & 0x7FFF) &<< 13, to: SIMD16<Float>.self) * 0x1p112
    return unsafeBitCast(unsafeBitCast(magnitude, to: SIMD16<UInt32>.self) | (bits & 0x8000) &<< 16, to: SIMD16<Float>.self)
  }
}
