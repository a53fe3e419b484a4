import FoundationEssentials

/// A value of our own as JSON on one line, its keys in order. It holds no infinity, and nothing that is no number.
package func encodedJSON(_ value: some Encodable) -> [UInt8] {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  guard let data = try? encoder.encode(value) else { preconditionFailure("strings and finite numbers can be encoded") }
  return Array(data)
}
