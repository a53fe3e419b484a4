import CCrypto

/// SHA-256, by libcrypto: names the content of a file.
public enum SHA256 {
  /// The hash of some bytes, as 64 hexadecimal digits.
  public static func hash(_ bytes: [UInt8]) -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    // It fails only where libcrypto has no memory left, or was built without SHA-256.
    guard EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha256(), nil) == 1 else { fatalError("libcrypto makes no SHA-256") }
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
