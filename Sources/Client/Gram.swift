import Wire

/// One message that came from the kernel.
public struct Gram: Sendable, Equatable {
  public let source: String
  public let target: String
  public let method: String
  /// JSON as it stands in the line; nil: nobody waits for our answer.
  public let id: [UInt8]?
  /// The same of the request that this belongs to.
  public let re: [UInt8]?
  public let payload: Payload

  /// Reads a line without its newline.
  public init(line: ArraySlice<UInt8>) throws(EnvelopeError) {
    var envelope = Envelope()
    let code = line.withUnsafeBytes { Envelope.scan($0, into: &envelope) }
    if code != 0 { throw Envelope.error(code) }
    func bytes(_ field: Envelope.Field) -> [UInt8]? {
      field.isPresent ? Array(line.dropFirst(Int(field.start)).prefix(Int(field.count))) : nil
    }
    func text(_ field: Envelope.Field) -> String {
      guard let raw = bytes(field) else { return "" }
      return String(decoding: field.escaped ? raw.withUnsafeBytes { unescaped($0) } : raw, as: UTF8.self)
    }
    source = text(envelope.source)
    target = text(envelope.target)
    method = text(envelope.method)
    id = bytes(envelope.id)
    re = bytes(envelope.re)
    payload = Payload(bytes(envelope.payload) ?? Array("null".utf8))
  }
}
