import Wire

/// One message that came from the kernel.
struct Gram: Sendable {
  let json: JSON

  var source: String { json["source"]?.string ?? "" }
  var target: String { json["target"]?.string ?? "" }
  var method: String { json["method"]?.string ?? "" }
  var payload: JSON { json["payload"] ?? .null }
  /// Set when somebody waits for our answer.
  var id: JSON? { json["id"] }
  /// The request of ours that this belongs to.
  var re: Int? { json["re"]?.int }
}
