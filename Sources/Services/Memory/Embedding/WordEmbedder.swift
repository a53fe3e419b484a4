import FoundationEssentials
import Glibc
import Synchronization

/// The embedded default: a text's vector is the mean of its tokens' rows in a table. `./bat up` installs the table.
///
/// Quick (no network to run), and good at what texts are about; word order is nothing to it. The same vectors as
/// `WordLlama.load().embed(texts, norm=True)` of the Python package `wordllama`. The table stays a mapped file of 16 MB; the
/// tokenizer (about 8 MB) is read with the first text.
public final class WordEmbedder: Embedder {
  public let id: String
  public let dimension: Int?
  private let tokenizerPath: String
  private let tokenizer = Mutex<BytePairTokenizer?>(nil)
  private let file: Safetensors
  private let table: Safetensors.Tensor

  private static let lanes = 16
  private var columns: Int { table.shape[1] }

  /// The one in the environment that `./bat up` has installed in the user's data folder.
  public static func installed() throws(EmbeddingError) -> WordEmbedder { try installed(environment: environmentVariable) }

  static func installed(environment: (String) -> String?) throws(EmbeddingError) -> WordEmbedder {
    guard let venv = LocalModel.installedEnvironment(environment: environment) else {
      throw EmbeddingError(.notInstalled, "HOME is not set, so there is no data folder with an embedder: set HOME, or XDG_DATA_HOME")
    }
    let mark = "wordllama-"
    let end = ".dist-info"
    for library in folders("\(venv)/lib") where library.hasPrefix("python") {
      let packages = "\(venv)/lib/\(library)/site-packages"
      for name in folders(packages) where name.hasPrefix(mark) && name.hasSuffix(end) {
        return try WordEmbedder(folder: "\(packages)/wordllama", version: String(name.dropFirst(mark.count).dropLast(end.count)))
      }
    }
    throw EmbeddingError(
      .notInstalled, "the embedder (wordllama) is not installed in \(venv): run `./bat up`, or set [memory] embedder in personas.toml")
  }

  private static func folders(_ path: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
  }

  /// - Parameters:
  ///   - folder: of the package `wordllama`, with `weights` and `tokenizers` in it.
  ///   - version: the package's, for the id.
  public init(folder: String, version: String) throws(EmbeddingError) {
    file = try Safetensors(folder + "/weights/l2_supercat_256.safetensors")
    guard let table = file.tensors["embedding.weight"], table.type == "F16", table.shape.count == 2, table.shape[0] > 0,
      table.shape[1] > 0, table.shape[1] % Self.lanes == 0
    else { throw EmbeddingError(.damaged, "\(file.path) has no table of half-precision rows named embedding.weight") }
    self.table = table
    dimension = table.shape[1]
    id = "wordllama-\(version)/\(table.shape[1])"
    tokenizerPath = folder + "/tokenizers/l2_supercat_tokenizer_config.json"
    guard access(tokenizerPath, R_OK) == 0 else {
      throw EmbeddingError(.notInstalled, "\(tokenizerPath) cannot be read (\(String(cString: strerror(errno)))): run `./bat up`")
    }
  }

  public func embed(_ texts: [String]) throws(EmbeddingError) -> [[Float]] {
    let tokenizer = try loadedTokenizer()
    let vectors = texts.map { text in
      var vector = mean(of: tokenizer.tokens(of: text))
      normalize(&vector)
      return vector
    }
    guard file.isWhole else {
      throw EmbeddingError(
        .damaged, "\(file.path) was shortened while it was in use: install it again with ./bat up, and restart the kernel")
    }
    return vectors
  }

  /// The tokens whose rows a text's vector is made of.
  func tokens(of text: String) throws(EmbeddingError) -> [Int32] { try loadedTokenizer().tokens(of: text) }

  private func loadedTokenizer() throws(EmbeddingError) -> BytePairTokenizer {
    let path = tokenizerPath
    let loaded: Result<BytePairTokenizer, EmbeddingError> = tokenizer.withLock { tokenizer in
      if let tokenizer { return .success(tokenizer) }
      do {
        let read = try BytePairTokenizer(Array(Data(contentsOf: URL(filePath: path))))
        tokenizer = read
        return .success(read)
      } catch let error as EmbeddingError {
        return .failure(EmbeddingError(error.reason, "\(path): \(error)"))
      } catch { return .failure(EmbeddingError(.notInstalled, "\(path) cannot be read (\(error)): run `./bat up`")) }
    }
    return try loaded.get()
  }

  private func mean(of tokens: [Int32]) -> [Float] {
    if tokens.isEmpty { return [] }
    return file.withBytes(of: table) { bytes in
      var sums = [SIMD16<Float>](repeating: .zero, count: columns / Self.lanes)
      for token in tokens {
        // As the reference does it: a token that the table does not have is its last row.
        let row = min(Int(token), table.shape[0] - 1) * columns * 2
        for lane in sums.indices {
          sums[lane] += Self.floats(bytes.loadUnaligned(fromByteOffset: row + lane * 32, as: SIMD16<UInt16>.self))
        }
      }
      let scale = 1 / Float(tokens.count)
      for lane in sums.indices { sums[lane] *= scale }
      return sums.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
  }

  /// Half precision to single, exactly; infinities and what is no number do not stand in a table of weights.
  @inline(__always)
  static func floats(_ halves: SIMD16<UInt16>) -> SIMD16<Float> {
    let bits = SIMD16<UInt32>(truncatingIfNeeded: halves)
    let magnitude = unsafeBitCast((bits & 0x7FFF) &<< 13, to: SIMD16<Float>.self) * 0x1p112
    return unsafeBitCast(unsafeBitCast(magnitude, to: SIMD16<UInt32>.self) | (bits & 0x8000) &<< 16, to: SIMD16<Float>.self)
  }
}
